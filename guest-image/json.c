/* SPDX-License-Identifier: Apache-2.0 */
/* JSON helpers: see json.h. json_parse() takes foreign bytes. */

#include "guest-image/json.h"

#include <stdarg.h>

#include "basic/error.h"
#include "basic/limits.h"

int json_add(json_object *to, const char *key, json_object *value)
{
        int r = -1;

        if (to && value)
                r = key ? json_object_object_add(to, key, value) : json_object_array_add(to, value);
        if (r < 0) {
                json_object_put(value);
                return -ENOMEM;
        }

        return 0;
}

int json_add_string(json_object *to, const char *key, const char *value)
{
        return json_add(to, key, json_object_new_string(value));
}

int json_add_stringf(json_object *to, const char *key, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }

        return json_add_string(to, key, text);
}

int json_add_u64(json_object *to, const char *key, uint64_t value)
{
        return json_add(to, key, json_object_new_uint64(value));
}

json_object *json_add_object(json_object *to, const char *key)
{
        json_object *o = json_object_new_object();

        return json_add(to, key, o) < 0 ? NULL : o;
}

json_object *json_add_array(json_object *to, const char *key)
{
        json_object *o = json_object_new_array();

        return json_add(to, key, o) < 0 ? NULL : o;
}

int json_text(json_object *o, char **ret)
{
        const char *text = json_object_to_json_string_ext(
                        o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

        if (!text || asprintf(ret, "%s\n", text) < 0)
                return -ENOMEM;
        return 0;
}

int json_parse(const char *text, size_t n, size_t max, json_object **ret, char **reterr_message)
{
        struct json_tokener *tokener;
        enum json_tokener_error error;
        json_object *o;
        size_t used;

        if (n > max || n > INT32_MAX)
                return error_setf(reterr_message, EFBIG, "more than %zu bytes", max);

        tokener = json_tokener_new_ex(IMAGE_MANIFEST_DEPTH);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        o = json_tokener_parse_ex(tokener, text, (int) n);
        error = json_tokener_get_error(tokener);
        used = json_tokener_get_parse_end(tokener);
        json_tokener_free(tokener);

        while (error == json_tokener_success && used < n && strchr(" \t\r\n", text[used]) && text[used])
                used++;
        if (error != json_tokener_success || !o || used != n) {
                json_object_put(o);
                return error_setf(reterr_message, EBADMSG, "not JSON at byte %zu: %s", used,
                                  error == json_tokener_success ? "text behind the value" :
                                  error == json_tokener_continue ? "premature end" :
                                                                   json_tokener_error_desc(error));
        }

        *ret = o;
        return 0;
}

json_object *json_get(json_object *o, const char *key, enum json_type type)
{
        json_object *value;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &value) ||
            !json_object_is_type(value, type))
                return NULL;
        return value;
}

const char *json_get_text(json_object *o, const char *key)
{
        json_object *value = json_get(o, key, json_type_string);
        const char *text = value ? json_object_get_string(value) : NULL;

        if (!text || strlen(text) != (size_t) json_object_get_string_len(value))
                return NULL;
        for (const char *c = text; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        return NULL;
        return text;
}
