/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: see policy.h. Every byte of the text is treated as foreign. */

#include "basic/policy.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define BLANKS " \t\r"

typedef struct PolicyKey {
        const char *name;
        unsigned words;         /* of one rule */
        bool several;           /* one line may hold several rules, */
        bool line;              /* or is one pattern, blanks included */
        const char *form;       /* for errors */
} PolicyKey;

static const PolicyKey policy_keys[_POLICY_KIND_MAX] = {
        [POLICY_ALLOW]         = { "Allow",        1, true,  false, "names of methods" },
        [POLICY_IMAGE]         = { "Image",        1, true,  false, "names of images" },
        [POLICY_MOUNT]         = { "Mount",        3, false, false, "TYPE SOURCE DESTINATION" },
        [POLICY_STORAGE]       = { "Storage",      3, false, false, "DRIVER SOURCE MOUNTPOINT" },
        /* Values have blanks in them. */
        [POLICY_ENVIRONMENT]   = { "Environment",  1, false, true,  "NAME=VALUE" },
        [POLICY_KERNEL_MODULE] = { "KernelModule", 1, false, true,  "NAME PARAMETER..." },
};

const char *policy_kind_to_string(PolicyKind kind)
{
        return policy_keys[kind].name;
}

/* Goes back to the last '*' only, so the time is that of the product of the lengths. */
bool pattern_matches(const char *pattern, const char *s)
{
        const char *star = NULL, *star_s = NULL;

        for (;;) {
                const char *p = pattern;

                if (*p == '*') {
                        star = pattern++;
                        star_s = s;
                        continue;
                }
                if (*p == '\0' && *s == '\0')
                        return true;
                if (*s != '\0' && *p != '\0') {
                        bool escaped = *p == '\\' && p[1] != '\0';

                        if (escaped)
                                p++;
                        if (*p == *s || (*p == '?' && !escaped)) {
                                pattern = p + 1;
                                s++;
                                continue;
                        }
                }
                if (!star || *star_s == '\0')
                        return false;
                pattern = star + 1;
                s = ++star_s;
        }
}

Policy *policy_free(Policy *policy)
{
        if (!policy)
                return NULL;

        for (unsigned k = 0; k < _POLICY_KIND_MAX; k++) {
                PolicyList *list = &policy->lists[k];

                for (size_t i = 0; i < list->n; i++)
                        for (unsigned w = 0; w < POLICY_WORDS_MAX; w++)
                                free(list->rules[i].words[w]);
                free(list->rules);
        }
        return mfree(policy);
}

static int list_add(PolicyList *list, PolicyRule **ret)
{
        PolicyRule *rules;

        if (list->n >= POLICY_RULES_MAX)
                return -E2BIG;

        /* Doubles at powers of two. */
        if ((list->n & (list->n - 1)) == 0) {
                rules = reallocarray(list->rules, list->n == 0 ? 1 : 2 * list->n, sizeof(*rules));
                if (!rules)
                        return -ENOMEM;
                list->rules = rules;
        }

        *ret = &list->rules[list->n++];
        **ret = (PolicyRule) {};
        return 0;
}

/* The next word of *s, which moves on; NULL at the end. */
static char *next_word(char **s)
{
        char *word = *s + strspn(*s, BLANKS);

        if (*word == '\0')
                return NULL;
        *s = word + strcspn(word, BLANKS);
        if (**s != '\0')
                *(*s)++ = '\0';
        return word;
}

static int add_words(PolicyList *list, const PolicyKey *key, char *value)
{
        PolicyRule *rule;
        char *word;
        int r;

        while ((word = next_word(&value))) {
                r = list_add(list, &rule);
                for (unsigned w = 0; r >= 0 && w < key->words; w++) {
                        if (!word)
                                return -EINVAL;
                        rule->words[w] = strdup(word);
                        if (!rule->words[w])
                                return -ENOMEM;
                        word = w + 1 < key->words ? next_word(&value) : NULL;
                }
                if (r < 0)
                        return r;
                if (!key->several && next_word(&value))
                        return -EINVAL;
        }

        return 0;
}

static int add_line(PolicyList *list, const char *value)
{
        PolicyRule *rule;
        int r;

        if (*value == '\0')
                return 0;

        r = list_add(list, &rule);
        if (r < 0)
                return r;
        rule->words[0] = strdup(value);
        return rule->words[0] ? 0 : -ENOMEM;
}

static int parse_key(Policy *policy, char *line, unsigned number, char **reterr_message)
{
        char *value = strchr(line, '='), *end;
        _cleanup_free_ char *shown = NULL;
        unsigned kind;
        int r;

        if (!value)
                return error_setf(reterr_message, EINVAL, "line %u: no '=' in it", number);

        for (end = value; end > line && strchr(BLANKS, end[-1]); end--)
                ;
        *end = '\0';
        value++;
        value += strspn(value, BLANKS);

        for (kind = 0; kind < _POLICY_KIND_MAX; kind++)
                if (streq(policy_keys[kind].name, line))
                        break;
        if (kind == _POLICY_KIND_MAX) {
                shown = text_escape(line, strlen(line), 40);
                return error_setf(reterr_message, EINVAL, "line %u: unknown key '%s'; known are Allow, Image, "
                                  "Mount, Storage, Environment and KernelModule", number, strempty(shown));
        }

        policy->lists[kind].given = true;
        r = policy_keys[kind].line ? add_line(&policy->lists[kind], value)
                                   : add_words(&policy->lists[kind], &policy_keys[kind], value);
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "line %u: %s= wants %s", number, policy_keys[kind].name,
                                  policy_keys[kind].form);
        if (r == -E2BIG)
                return error_setf(reterr_message, r, "line %u: more than %u patterns for %s=", number,
                                  POLICY_RULES_MAX, policy_keys[kind].name);
        return r;
}

int policy_parse(const char *text, size_t n, Policy **ret, char **reterr_message)
{
        _cleanup_(policy_freep) Policy *policy = NULL;
        _cleanup_free_ char *copy = NULL;
        bool header = false;
        unsigned number = 0;
        char *line, *rest;

        if (n > POLICY_SIZE_MAX)
                return error_setf(reterr_message, E2BIG, "a policy has at most %zu KiB", POLICY_SIZE_MAX / 1024);
        if (!utf8_is_valid(text, n))
                return error_setf(reterr_message, EINVAL, "not a text: it has bytes that are not UTF-8");

        policy = new0(Policy, 1);
        copy = strndup(text, n);
        if (!policy || !copy)
                return -ENOMEM;

        for (rest = copy; (line = strsep(&rest, "\n"));) {
                size_t end = strlen(line);
                int r;

                number++;
                while (end > 0 && strchr(BLANKS, line[end - 1]))
                        line[--end] = '\0';
                line += strspn(line, BLANKS);
                if (*line == '\0' || *line == '#' || *line == ';')
                        continue;
                if (!header) {
                        if (!streq(line, POLICY_HEADER))
                                return error_setf(reterr_message, EINVAL, "line %u: a policy begins with the line "
                                                  POLICY_HEADER ", see kata-policy(5); Rego is not understood",
                                                  number);
                        header = true;
                        continue;
                }
                r = parse_key(policy, line, number, reterr_message);
                if (r < 0)
                        return r;
        }

        if (!header)
                return error_setf(reterr_message, EINVAL, "empty: a policy begins with the line " POLICY_HEADER);
        *ret = TAKE_PTR(policy);
        return 0;
}

bool policy_permits(const Policy *policy, PolicyKind kind, const char *const words[static POLICY_WORDS_MAX])
{
        const PolicyList *list = &policy->lists[kind];

        if (!list->given)
                return kind != POLICY_ALLOW;

        for (size_t i = 0; i < list->n; i++) {
                unsigned w;

                for (w = 0; w < policy_keys[kind].words; w++)
                        if (!pattern_matches(list->rules[i].words[w], words[w]))
                                break;
                if (w == policy_keys[kind].words)
                        return true;
        }

        return false;
}
