#ifndef KELTER_CLIBXML2_SHIM_H
#define KELTER_CLIBXML2_SHIM_H

#include <libxml/HTMLparser.h>

#endif
