#ifndef KELTER_CLIBXML2_SHIM_H
#define KELTER_CLIBXML2_SHIM_H

#include <libxml/xmlversion.h>
// Debian's libxml2 is built with ICU, whose headers declare other versions of types that Foundation's own ICU declares:
// a module that sees both does not compile. Only the layout of xmlCharEncodingHandler depends on it, which is not used.
#undef LIBXML_ICU_ENABLED
#include <libxml/HTMLparser.h>

#endif
