/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime check: the findings of host-check.h, for people and for programs. */

#include <json-c/json.h>

#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/host-check.h"

const CliOption check_options[] = {
        { "json", 'j', NULL, CLI_ARG(json), "Print JSON" },
        { "strict", 's', NULL, CLI_ARG(strict), "Fail for warnings, too" },
        {}
};

static void print_text(const Findings *f)
{
        for (size_t i = 0; i < f->n; i++) {
                printf("%-8s %-14s %s\n", finding_level_to_string(f->v[i].level), f->v[i].name, f->v[i].text);
                if (f->v[i].advice)
                        printf("%-8s %-14s → %s\n", "", "", f->v[i].advice);
        }
}

static void print_json(const Findings *f)
{
        json_object *list = json_object_new_array();

        for (size_t i = 0; i < f->n; i++) {
                const Finding *finding = &f->v[i];
                json_object *o = json_object_new_object();

                json_object_object_add(o, "name", json_object_new_string(finding->name));
                json_object_object_add(o, "level",
                                       json_object_new_string(finding_level_to_string(finding->level)));
                json_object_object_add(o, "text", json_object_new_string(finding->text));
                json_object_object_add(o, "advice",
                                       finding->advice ? json_object_new_string(finding->advice) : NULL);
                json_object_array_add(list, o);
        }
        puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(list);
}

int verb_check(const CliArgs *args)
{
        FindingLevel worst = FINDING_OK;
        const CheckPlaces places = {};
        Findings f = {};

        if (host_check(&places, &f) < 0)
                return log_oom(), EXIT_FAILURE;
        for (size_t i = 0; i < f.n; i++)
                worst = MAX(worst, f.v[i].level);
        if (args->json)
                print_json(&f);
        else
                print_text(&f);
        findings_done(&f);
        return worst >= (args->strict ? FINDING_WARNING : FINDING_FAILURE) ? EXIT_FAILURE : EXIT_SUCCESS;
}
