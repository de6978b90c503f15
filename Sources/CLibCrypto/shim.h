#ifndef KELTER_CLIBCRYPTO_SHIM_H
#define KELTER_CLIBCRYPTO_SHIM_H

#include <openssl/evp.h>

#endif
