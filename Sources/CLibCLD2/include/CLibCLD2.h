#ifndef KELTER_CLIBCLD2_H
#define KELTER_CLIBCLD2_H

#ifdef __cplusplus
extern "C" {
#endif

/// Detects the language of a text in valid UTF-8; CLD2 speaks C++, which Swift's import of it does not.
///
/// `code` becomes its ISO 639 code, `percent` the share of the text in it, `bytes` how much text there was apart from
/// digits and punctuation. 1 when CLD2 is sure, else 0.
int clibcld2_detect(const char *text, int count, char code[16], int *percent, int *bytes);

#ifdef __cplusplus
}
#endif

#endif
