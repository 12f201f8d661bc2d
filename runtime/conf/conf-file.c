/* SPDX-License-Identifier: Apache-2.0 */
/* Line parser for definition files: see conf-file.h. Pure, for hostile text. */

#include "runtime/conf/conf-file.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define SECTION_NAME_MAX 160U
#define KEY_NAME_MAX 64U

ConfFile *conf_file_free(ConfFile *file)
{
        if (!file)
                return NULL;

        for (size_t i = 0; i < file->n_sections; i++)
                free(file->sections[i].name);
        for (size_t i = 0; i < file->n_entries; i++) {
                free(file->entries[i].key);
                free(file->entries[i].value);
        }
        free(file->sections);
        free(file->entries);
        return mfree(file);
}

/* Cuts blanks off both ends, in place. */
static char *strip(char *s)
{
        size_t n;

        s += strspn(s, " \t");
        for (n = strlen(s); n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'); n--)
                ;
        s[n] = '\0';
        return s;
}

static int check_text(const char *name, const char *text, size_t size, char **reterr_message)
{
        unsigned line = 1;
        const char *start = text;

        if (size > CONFIG_FILE_MAX)
                return error_setf(reterr_message, -EFBIG, "%s: larger than %zu KiB", name,
                                  CONFIG_FILE_MAX / 1024);

        for (const char *p = text; p <= text + size; p++) {
                if (p < text + size && *p != '\n') {
                        if (((unsigned char) *p < 0x20 && *p != '\t') || *p == 0x7f)
                                return error_setf(reterr_message, -EINVAL,
                                                  "%s:%u: control character 0x%02x", name, line,
                                                  (unsigned char) *p);
                        continue;
                }

                if (!utf8_is_valid(start, (size_t) (p - start)))
                        return error_setf(reterr_message, -EINVAL, "%s:%u: not valid UTF-8", name,
                                          line);
                start = p + 1;
                line++;
        }

        return 0;
}

static int add_section(ConfFile *file, const char *name, char *text, unsigned line,
                       char **reterr_message)
{
        size_t n = strlen(text);
        ConfSection *v;

        if (text[n - 1] != ']')
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: section header without ']' at its end", name, line);
        text[n - 1] = '\0';
        text = strip(text + 1);

        if (!*text || strlen(text) > SECTION_NAME_MAX || strpbrk(text, "[]"))
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: section name is empty, too long or has brackets", name,
                                  line);
        for (size_t i = 0; i < file->n_sections; i++)
                if (streq(file->sections[i].name, text))
                        return error_setf(reterr_message, -EINVAL,
                                          "%s:%u: [%s] is there already, in line %u", name, line,
                                          text, file->sections[i].line);
        if (file->n_sections >= CONFIG_SECTIONS_MAX)
                return error_setf(reterr_message, -E2BIG, "%s:%u: more than %u sections",
                                  name, line, CONFIG_SECTIONS_MAX);

        v = reallocarray(file->sections, file->n_sections + 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        file->sections = v;
        v += file->n_sections;
        *v = (ConfSection) { .name = strdup(text), .line = line };
        if (!v->name)
                return -ENOMEM;
        file->n_sections++;
        return 0;
}

static bool key_is_valid(const char *s)
{
        for (const char *p = s; *p; p++)
                if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
                    !(*p >= '0' && *p <= '9' && p > s))
                        return false;

        return *s && strlen(s) <= KEY_NAME_MAX;
}

static int add_entry(ConfFile *file, const char *name, char *text, unsigned line,
                     char **reterr_message)
{
        char *equals = strchr(text, '='), *key, *value;
        ConfEntry *v;

        if (!equals)
                return error_setf(reterr_message, -EINVAL, "%s:%u: neither [Section] nor Key=value",
                                  name, line);

        *equals = '\0';
        key = strip(text);
        value = strip(equals + 1);

        if (!key_is_valid(key))
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: a key is made of letters and digits", name, line);
        if (file->n_sections == 0)
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: %s= stands before the first [Section]", name, line, key);
        if (file->n_entries >= CONFIG_ENTRIES_MAX)
                return error_setf(reterr_message, -E2BIG, "%s:%u: more than %u keys", name, line,
                                  CONFIG_ENTRIES_MAX);

        v = reallocarray(file->entries, file->n_entries + 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        file->entries = v;
        v += file->n_entries;
        *v = (ConfEntry) {
                .section = file->n_sections - 1,
                .key = strdup(key),
                .value = strdup(value),
                .line = line,
        };
        file->n_entries++;
        return v->key && v->value ? 0 : -ENOMEM;
}

/* One logical line; text is changed. */
static int add_line(ConfFile *file, const char *name, char *text, unsigned line,
                    char **reterr_message)
{
        text = strip(text);
        if (!*text)
                return 0;
        if (*text == '[')
                return add_section(file, name, text, line, reterr_message);

        return add_entry(file, name, text, line, reterr_message);
}

int conf_file_parse(const char *name, const char *text, size_t size, ConfFile **ret,
                    char **reterr_message)
{
        _cleanup_conf_file_ ConfFile *file = new0(ConfFile, 1);
        _cleanup_free_ char *logical = malloc(size + 2);
        size_t n = 0;                   /* bytes in logical */
        unsigned line = 0, first = 0; /* first: line of the start of logical; 0: nothing pending */
        int r;

        if (!file || !logical)
                return -ENOMEM;

        r = check_text(name, text, size, reterr_message);
        if (r < 0)
                return r;

        for (const char *p = text, *end = text + size; p < end;) {
                const char *newline = memchr(p, '\n', (size_t) (end - p)) ?: end;
                size_t len = (size_t) (newline - p);
                const char *s = p;
                bool joined;

                line++;
                p = newline < end ? newline + 1 : end;

                while (len > 0 && (*s == ' ' || *s == '\t')) {
                        s++;
                        len--;
                }
                /*
                 * Also between joined lines, as systemd has it: one argument of many can be
                 * switched off.
                 */
                if (len > 0 && (*s == '#' || *s == ';'))
                        continue;

                joined = len > 0 && s[len - 1] == '\\';
                if (first == 0)
                        first = line;
                memcpy(logical + n, s, joined ? len - 1 : len);
                n += joined ? len - 1 : len;
                if (joined) {
                        /* The backslash made room for this blank. */
                        logical[n++] = ' ';
                        continue;
                }

                logical[n] = '\0';
                r = add_line(file, name, logical, first, reterr_message);
                if (r < 0)
                        return r;
                n = 0;
                first = 0;
        }

        if (first > 0)
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: ends in a backslash, but no line follows", name, line);

        *ret = TAKE_PTR(file);
        return 0;
}
