#ifndef KELTER_CZLIB_SHIM_H
#define KELTER_CZLIB_SHIM_H

#include <zlib.h>

#endif
