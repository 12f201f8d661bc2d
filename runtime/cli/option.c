/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of options: see option.h. */

#include "runtime/cli/option.h"

#include "basic/error.h"
#include "basic/parse.h"

#define SHOWN_MAX 80U

static int refuse(char **reterr_message, const char *format, const char *foreign)
{
        _cleanup_free_ char *shown = text_escape(foreign, strlen(foreign), SHOWN_MAX);

        if (!shown)
                return -ENOMEM;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        return error_setf(reterr_message, -EINVAL, format, shown);
#pragma GCC diagnostic pop
}

/* name: up to its "=" or its end. */
static const CliOption *find(const CliOption *table, const char *name, size_t n)
{
        CLI_OPTION_FOREACH(o, table)
                if ((strlen(o->name) == n && strncmp(o->name, name, n) == 0) ||
                    (o->letter && n == 1 && name[0] == o->letter))
                        return o;

        return NULL;
}

static bool is_choice(const CliOption *o, const char *value)
{
        for (size_t i = 0; o->choices && o->choices[i]; i++)
                if (streq(o->choices[i], value))
                        return true;

        return !o->choices;
}

static char *list_choices(const CliOption *o)
{
        char *text = strdup("");

        for (size_t i = 0; text && o->choices[i]; i++) {
                char *longer = NULL;

                if (asprintf(&longer, "%s%s%s", text,
                             i == 0 ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]) < 0)
                        longer = NULL;
                free(text);
                text = longer;
        }
        return text;
}

static int set_switch(const CliOption *o, const char *value, void *field, char **reterr_message)
{
        *(bool *) field = true;
        if (value && parse_bool(value, field) < 0)
                return error_setf(reterr_message, -EINVAL, "option --%s takes no value, or true or false",
                                  o->name);
        return 0;
}

static int set(const CliOption *o, const char *value, void *base, char **reterr_message)
{
        void *field = (char *) base + o->offset;

        if (!o->value)
                return set_switch(o, value, field, reterr_message);
        if (!is_choice(o, value)) {
                _cleanup_free_ char *choices = list_choices(o), *shown = text_escape(value, strlen(value),
                                                                                     SHOWN_MAX);

                return error_setf(reterr_message, -EINVAL, "option --%s is %s, not '%s'", o->name,
                                  strempty(choices), strempty(shown));
        }
        if (o->multiple)
                return strv_add(field, value);

        *(const char **) field = value;
        return 0;
}

int cli_options_parse(const CliOption *table, bool in_order, size_t n, char *argv[], void *base,
                      char *words[], size_t *ret_words, char **reterr_message)
{
        size_t n_words = 0;
        bool over = false;
        int r;

        for (size_t i = 0; i < n; i++) {
                const char *name, *value;
                const CliOption *o;

                if (over || argv[i][0] != '-' || argv[i][1] == '\0') {
                        words[n_words++] = argv[i];
                        over = over || in_order;
                        continue;
                }
                if (streq(argv[i], "--")) {
                        over = true;
                        continue;
                }

                name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
                value = strchr(name, '=');
                o = find(table, name, value ? (size_t) (value - name) : strlen(name));
                if (!o)
                        return refuse(reterr_message, "there is no option '%s'", argv[i]);
                if (value)
                        value++;
                else if (o->value) {
                        if (i + 1 >= n)
                                return error_setf(reterr_message, -EINVAL, "option --%s needs a value: %s",
                                                  o->name, o->value);
                        value = argv[++i];
                }
                r = set(o, value, base, reterr_message);
                if (r < 0)
                        return r;
        }

        *ret_words = n_words;
        return 0;
}

void cli_options_done(const CliOption *table, void *base)
{
        CLI_OPTION_FOREACH(o, table)
                if (o->multiple)
                        strv_done((Strv *) (void *) ((char *) base + o->offset));
}
