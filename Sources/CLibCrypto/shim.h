#ifndef KELTER_CLIBCRYPTO_SHIM_H
#define KELTER_CLIBCRYPTO_SHIM_H

// CRYPTO_memcmp, which evp.h does not promise to bring along.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
// RAND_bytes.
#include <openssl/rand.h>

#endif
