#ifndef KELTER_CLIBPQ_SHIM_H
#define KELTER_CLIBPQ_SHIM_H

#include <libpq-fe.h>

#endif
