#ifndef KELTER_CLIBUCHARDET_SHIM_H
#define KELTER_CLIBUCHARDET_SHIM_H

#include <uchardet.h>

#endif
