/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle-runner: an OCI runtime command line for tests. Each container is made by a kata-agent of its own in host
 * mode (man/kata-agent.8), over the agent protocol: what conformance suites see is the agent's engine.
 */

#include <limits.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "basic/error.h"
#include "basic/parse.h"
#include "tests/bundle-runner/options.h"
#include "tests/bundle-runner/verbs.h"

static int (*const verbs[_VERB_MAX])(const Options *options, char **reterr_message) = {
        [VERB_CREATE] = verb_create, [VERB_START] = verb_start, [VERB_STATE] = verb_state,
        [VERB_KILL] = verb_kill,     [VERB_DELETE] = verb_delete, [VERB_RUN] = verb_run,
        [VERB_EXEC] = verb_exec,     [VERB_PAUSE] = verb_pause,   [VERB_RESUME] = verb_resume,
        [VERB_LIST] = verb_list,
};

/* As runc writes it: one object a line, or logfmt. */
static void write_log(const Options *o, const char *text)
{
        json_object *quoted = json_object_new_string(text);
        time_t now = time(NULL);
        char when[32] = "";
        FILE *f = fopen(o->log, "ae");
        struct tm tm;

        if (gmtime_r(&now, &tm))
                (void) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
        if (f && quoted)
                fprintf(f, o->log_json ? "{\"level\":\"error\",\"msg\":%s,\"time\":\"%s\"}\n"
                                       : "level=error msg=%s time=\"%s\"\n",
                        json_object_to_json_string(quoted), when);
        if (f)
                fclose(f);
        json_object_put(quoted);
}

/* A directory may be given relative to where the command runs. */
static int absolute_root(Options *o, char *buf, size_t size)
{
        char cwd[PATH_MAX];

        if (!o->root || o->root[0] == '/')
                return 0;
        if (!getcwd(cwd, sizeof(cwd)))
                return negative_errno();
        if ((size_t) snprintf(buf, size, "%s/%s", cwd, o->root) >= size)
                return -ENAMETOOLONG;
        o->root = buf;
        return 0;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *message = NULL;
        char root[PATH_MAX];
        Options o = {};
        int r;

        r = options_parse(argc, argv, &o, &message);
        if (r >= 0 && o.verb == VERB_HELP)
                return EXIT_SUCCESS;
        if (r < 0) {
                fprintf(stderr, "bundle-runner: %s\n", error_text(message, r));
                return r == -ENOENT ? RUNNER_NO_SUCH_COMMAND : RUNNER_FAILED;
        }

        r = absolute_root(&o, root, sizeof(root));
        if (r >= 0 && geteuid() != 0)
                r = error_setf(&message, -EPERM, "bundle-runner needs root");
        if (r >= 0)
                r = verbs[o.verb](&o, &message);
        if (r >= 0)
                return r;

        fprintf(stderr, "bundle-runner: %s\n", error_text(message, r));
        if (o.log)
                write_log(&o, error_text(message, r));
        return RUNNER_FAILED;
}
