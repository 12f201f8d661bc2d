/* SPDX-License-Identifier: Apache-2.0 */
/* Text → JSON object with json-c: see the header. Hostile input. */

#include "runtime/oci/json-parse.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

static unsigned line_at(const char *text, size_t offset)
{
        unsigned line = 1;

        for (size_t i = 0; i < offset; i++)
                line += text[i] == '\n';

        return line;
}

/* The text is valid UTF-8. Returns its length in bytes. */
static size_t decode(const uint8_t *s, uint32_t *ret)
{
        if (s[0] < 0xe0) {
                *ret = (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU);
                return 2;
        }
        if (s[0] < 0xf0) {
                *ret = (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU);
                return 3;
        }

        *ret = (s[0] & 0x07U) << 18 | (s[1] & 0x3fU) << 12 | (s[2] & 0x3fU) << 6 | (s[3] & 0x3fU);
        return 4;
}

/*
 * The same JSON in ASCII. The strict mode of json-c 0.18 (Debian 13) takes every byte over 0x7f for
 * a control character (json-c#892); without strict mode it takes comments, superfluous commas and
 * text behind the object. In a place where JSON has no string, "\u" is an error as well.
 */
static int to_ascii(
                const char *file,
                const char *text,
                size_t size,
                char **ret,
                size_t *ret_size,
                char **reterr_message)
{
        const uint8_t *s = (const uint8_t *) text;
        /* Two bytes become six characters, four become twelve. */
        _cleanup_free_ char *ascii = malloc(3 * size + 1);
        size_t n = 0, backslashes = 0;

        if (!ascii)
                return -ENOMEM;

        for (size_t i = 0; i < size;) {
                uint32_t c;

                if (s[i] < 0x80) {
                        backslashes = s[i] == '\\' ? backslashes + 1 : 0;
                        ascii[n++] = text[i++];
                        continue;
                }

                if (backslashes % 2 != 0)
                        return error_setf(reterr_message, -EINVAL, "%s:%u: not JSON: bad escape",
                                          file, line_at(text, i));
                backslashes = 0;
                i += decode(s + i, &c);
                if (c < 0x10000)
                        n += (size_t) sprintf(ascii + n, "\\u%04x", c);
                else
                        n += (size_t) sprintf(ascii + n, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
                                              0xdc00 + (c & 0x3ff));
        }

        ascii[n] = '\0';
        *ret = TAKE_PTR(ascii);
        *ret_size = n;
        return 0;
}

int json_parse_object(const char *file, const char *text, size_t size, json_object **ret,
                      char **reterr_message)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *ascii = NULL;
        struct json_tokener *tokener;
        enum json_tokener_error e;
        size_t n = 0, end;
        unsigned line;
        int r;

        if (size > OCI_CONFIG_MAX)
                return error_setf(reterr_message, -EFBIG, "%s: larger than %zu KiB", file,
                                  OCI_CONFIG_MAX / 1024);
        if (!utf8_is_valid(text, size))
                return error_setf(reterr_message, -EINVAL,
                                  "%s: not valid UTF-8, or with a NUL character", file);

        r = to_ascii(file, text, size, &ascii, &n, reterr_message);
        if (r < 0)
                return r;

        tokener = json_tokener_new_ex((int) OCI_DEPTH_MAX);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        object = json_tokener_parse_ex(tokener, ascii, (int) n);
        e = json_tokener_get_error(tokener);
        end = json_tokener_get_parse_end(tokener);
        json_tokener_free(tokener);

        line = line_at(ascii, MIN(end, n));
        if (e == json_tokener_continue)
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: ends in the middle of the JSON text", file, line);
        if (e != json_tokener_success)
                return error_setf(reterr_message, -EINVAL, "%s:%u: not JSON: %s", file, line,
                                  json_tokener_error_desc(e));
        if (!json_object_is_type(object, json_type_object))
                return error_setf(reterr_message, -EINVAL, "%s: expected an object", file);

        *ret = TAKE_PTR(object);
        return 0;
}
