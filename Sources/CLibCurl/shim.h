#ifndef KELTER_CLIBCURL_SHIM_H
#define KELTER_CLIBCURL_SHIM_H

#include <curl/curl.h>

/// The signature of write and header callbacks.
typedef size_t (*ccurl_write_callback)(char *bytes, size_t size, size_t count, void *context);

/// Swift cannot call variadic functions: one function per kind of argument.
static inline CURLcode ccurl_setopt_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

/// Variadic in C. libcurl copies the string.
static inline CURLcode ccurl_setopt_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

/// Variadic in C.
static inline CURLcode ccurl_setopt_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}

/// Variadic in C. The list must outlive the handle.
static inline CURLcode ccurl_setopt_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}

/// Variadic in C.
static inline CURLcode ccurl_setopt_callback(CURL *easy, CURLoption option, ccurl_write_callback value) {
    return curl_easy_setopt(easy, option, value);
}

/// Variadic in C.
static inline CURLcode ccurl_setopt_socket_callback(CURL *easy, curl_sockopt_callback value) {
    return curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, value);
}

/// Variadic in C.
static inline CURLcode ccurl_setopt_progress_callback(CURL *easy, curl_xferinfo_callback value) {
    return curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, value);
}

/// Variadic in C. libcurl copies the bytes; the size goes first, so that a NUL does not end them.
static inline CURLcode ccurl_set_body(CURL *easy, const void *bytes, size_t count) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, (const char *)bytes) : code;
}

/// Variadic in C. CURLOPT_PROTOCOLS_STR came with 7.85 and deprecated its predecessor.
static inline CURLcode ccurl_allow_http_only(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/// Variadic in C.
static inline CURLMcode ccurl_multi_setopt_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

/// Variadic in C; 0 when libcurl does not know.
static inline long ccurl_getinfo_long(CURL *easy, CURLINFO info) {
    long value = 0;
    return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

/// Variadic in C; NULL when libcurl does not know. The handle owns the text, until it is used again.
static inline const char *ccurl_getinfo_string(CURL *easy, CURLINFO info) {
    char *value = NULL;
    return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : NULL;
}

/// Variadic in C. A NULL string takes an option away, the default included.
static inline CURLcode ccurl_reset_string(CURL *easy, CURLoption option) {
    return curl_easy_setopt(easy, option, (char *)NULL);
}

/// The result sits in a C union; only a message with CURLMSG_DONE has one.
static inline int ccurl_message_is_done(const CURLMsg *message) {
    return message->msg == CURLMSG_DONE;
}

/// The result sits in a C union.
static inline CURLcode ccurl_message_result(const CURLMsg *message) {
    return message->data.result;
}

#endif
