// CLD2's header uses FILE without it.
#include <cstdio>

#include <cld2/public/compact_lang_det.h>
#include <cstring>

#include "include/CLibCLD2.h"

extern "C" int clibcld2_detect(const char *text, int count, char code[16], int *percent, int *bytes) {
    CLD2::Language languages[3];
    int percents[3];
    bool isReliable = false;
    CLD2::DetectLanguageSummary(text, count, true, languages, percents, bytes, &isReliable);
    std::strncpy(code, CLD2::LanguageCode(languages[0]), 15);
    code[15] = '\0';
    *percent = percents[0];
    return isReliable && languages[0] != CLD2::UNKNOWN_LANGUAGE;
}
