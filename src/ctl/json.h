/* Writes one JSON document to a stream as it goes (RFC 8259): always well-formed UTF-8, whatever
 * bytes it is given. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include "base/slice.h"

#include <stdio.h>

enum {
    JSON_DEPTH_MAX = 16
};

struct json {
    FILE *file;
    unsigned depth;
    bool has_item[JSON_DEPTH_MAX]; /* per open array or object: a comma is due */
    bool is_after_key;
    bool is_line; /* nothing but json_end ends a line: for streams of documents, one a line */
};

/* Borrows file until json_end. The second: all of it on one line. */
void json_begin(struct json *json, FILE *file);
void json_begin_line(struct json *json, FILE *file);
/* All that was opened must be closed (asserted); ends the line. */
void json_end(struct json *json);

/* bracket: '[' or '{'. */
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);
/* The next value's key, inside an object. key: plain ASCII. */
void json_key(struct json *json, const char *key);
/* Of any bytes. */
void json_key_bytes(struct json *json, struct slice key);

/* Invalid UTF-8 becomes U+FFFD, a byte at a time. */
void json_bytes(struct json *json, struct slice text);
void json_number(struct json *json, uint64_t value);
void json_bool(struct json *json, bool value);

/* Key and value in one. */
void json_field_bytes(struct json *json, const char *key, struct slice text);
void json_field_text(struct json *json, const char *key, const char *text);
void json_field_number(struct json *json, const char *key, uint64_t value);
void json_field_bool(struct json *json, const char *key, bool value);

#endif
