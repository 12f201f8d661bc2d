/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the command line that need no host: options, tables, times, counters, the error log. */

#include <fcntl.h>
#include <json-c/json.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "runtime/cli/command.h"
#include "runtime/cli/error-log.h"
#include "runtime/cli/host-check.h"
#include "runtime/cli/since.h"
#include "runtime/cli/usage.h"
#include "runtime/conf/conf-print.h"
#include "runtime/conf/conf-tables.h"
#include "runtime/oci/spec-load.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/vmm/vmm-state.h"

typedef struct Values {
        const char *file, *mode;
        bool force, all;
        Strv env;
} Values;

static const char *const modes[] = { "soft", "hard", NULL };
static const CliOption options[] = {
        { "file", 'f', "FILE", offsetof(Values, file), "" },
        { "mode", 0, "MODE", offsetof(Values, mode), "", modes },
        { "force", 0, NULL, offsetof(Values, force), "" },
        { "all", 'a', NULL, offsetof(Values, all), "" },
        { "env", 'e', "NAME=VALUE", offsetof(Values, env), "", NULL, true },
        {}
};

#define ARGV(...) ((char *[]) { __VA_ARGS__ })
#define A(text) ((char *) (uintptr_t) (text))

static char *words[16];
static size_t n_words;
static char *message;

static int parse(Values *v, bool in_order, char *argv[])
{
        size_t n = 0;

        while (argv[n])
                n++;
        *v = (Values) {};
        message = mfree(message);
        return cli_options_parse(options, in_order, n, argv, v, words, &n_words, &message);
}

TEST(option_forms)
{
        static char *const forms[][3] = { { A("-f"), A("x=y") }, { A("-f=x=y") }, { A("--file"), A("x=y") },
                                          { A("--file=x=y") }, { A("-file"), A("x=y") } };
        Values v;

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                char *argv[3] = { forms[i][0], forms[i][1], NULL };

                ASSERT_OK(parse(&v, false, argv));
                ASSERT_STREQ(v.file, "x=y");
                ASSERT_EQ(n_words, 0U);
        }

        ASSERT_OK(parse(&v, false, ARGV(A("id"), A("--force"), A("TERM"), A("-a=false"), A("-e"), A("A=1"),
                                        A("--env=B=2"), NULL)));
        ASSERT_TRUE(v.force);
        ASSERT_FALSE(v.all);
        ASSERT_EQ(v.env.n, 2U);
        ASSERT_STREQ(v.env.v[1], "B=2");
        ASSERT_EQ(n_words, 2U);
        ASSERT_STREQ(words[1], "TERM");
        cli_options_done(options, &v);

        /* What is behind the first word belongs to somebody else; and behind "--" all are words. */
        ASSERT_OK(parse(&v, true, ARGV(A("-a"), A("id"), A("-a"), A("--what"), NULL)));
        ASSERT_TRUE(v.all);
        ASSERT_EQ(n_words, 3U);
        ASSERT_OK(parse(&v, false, ARGV(A("--"), A("-a"), A("-"), NULL)));
        ASSERT_FALSE(v.all);
        ASSERT_EQ(n_words, 2U);
}

TEST(option_errors)
{
        Values v;

        ASSERT_EQ(parse(&v, false, ARGV(A("--nope\n"), NULL)), -EINVAL);
        ASSERT_STREQ(message, "there is no option '--nope\\x0a'");
        ASSERT_EQ(parse(&v, false, ARGV(A("--file"), NULL)), -EINVAL);
        ASSERT_STREQ(message, "option --file needs a value: FILE");
        ASSERT_EQ(parse(&v, false, ARGV(A("--mode"), A("medium"), NULL)), -EINVAL);
        ASSERT_STREQ(message, "option --mode is soft or hard, not 'medium'");
        ASSERT_EQ(parse(&v, false, ARGV(A("--force=perhaps"), NULL)), -EINVAL);
        ASSERT_STREQ(message, "option --force takes no value, or true or false");
        /* The beginning of a name is not the name. */
        ASSERT_EQ(parse(&v, false, ARGV(A("--for"), NULL)), -EINVAL);
        message = mfree(message);
}

static void check_table(const char *command, const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                ASSERT_FALSE(isempty(o->help));
                ASSERT_FALSE(streq(o->name, "help") && *command);
                /* One line, and nothing that a shell's completion would take for its own. */
                ASSERT_NULL(strpbrk(o->help, "\n`$"));
                CLI_OPTION_FOREACH(p, table)
                        if (o != p && (streq(o->name, p->name) || (o->letter && o->letter == p->letter)))
                                TEST_FAIL("%s: --%s and --%s are the same", command, o->name, p->name);
        }
}

TEST(tables)
{
        check_table("", cli_global_options);
        CLI_COMMAND_FOREACH(c) {
                check_table(c->name, c->options);
                ASSERT_NOT_NULL(c->summary);
                ASSERT_TRUE(c->min_words <= c->max_words);
                ASSERT_TRUE(cli_command_find(c->name) == c);
        }
        ASSERT_NULL(cli_command_find("cre"));
}

/* podman reads the whole file as one object. */
TEST(error_log)
{
        _cleanup_free_ char *json = error_log_format(true, 0, "a \"b\"\nc"), *text = error_log_format(false, 0, "x");
        json_object *o, *field;

        o = ASSERT_NOT_NULL(json_tokener_parse(json));
        ASSERT_TRUE(json_object_object_get_ex(o, "level", &field));
        ASSERT_STREQ(json_object_get_string(field), "error");
        ASSERT_TRUE(json_object_object_get_ex(o, "msg", &field));
        ASSERT_STREQ(json_object_get_string(field), "a \"b\"\\x0ac");
        ASSERT_TRUE(json_object_object_get_ex(o, "time", &field));
        ASSERT_STREQ(json_object_get_string(field), "1970-01-01T00:00:00Z");
        json_object_put(o);
        ASSERT_STREQ(text, "1970-01-01T00:00:00Z error: x\n");
}

TEST(times)
{
        const usec_t now = UINT64_C(1700000000) * USEC_PER_SEC; /* 2023-11-14 22:13:20 UTC */
        static const struct {
                const char *text;
                int64_t seconds;        /* -1: refused */
        } cases[] = {
                { "now", 1700000000 },
                { "10min", 1699999400 },
                { "1h 30min ago", 1699994600 },
                { "@1600000000", 1600000000 },
                { "today", 1699920000 },
                { "yesterday", 1699833600 },
                { "2023-11-01", 1698796800 },
                { "2023-11-01 08:15", 1698826500 },
                { "2023-11-01T08:15:30", 1698826530 },
                { "08:15", 1699949700 },
                { "soon", -1 },
                { "2023-11-01 08:15 or so", -1 },
                { "@x", -1 },
                { "", -1 },
        };

        setenv("TZ", "UTC", 1);
        tzset();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                usec_t when = 0;
                int r = time_parse(cases[i].text, now, &when);

                if (cases[i].seconds < 0) {
                        ASSERT_EQ(r, -EINVAL);
                        continue;
                }
                ASSERT_OK(r);
                ASSERT_EQ(when, (usec_t) cases[i].seconds * USEC_PER_SEC);
        }
}

TEST(counters)
{
        uint64_t a, b;

        ASSERT_TRUE(usage_parse_flat("user_usec 1\nusage_usec 42\n", "usage_usec", &a));
        ASSERT_EQ(a, 42U);
        ASSERT_FALSE(usage_parse_flat("xusage_usec 1\nusage_usecs 2\n", "usage_usec", &a));
        usage_parse_io("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"
                       "254:1 rbytes=5 wbytes=0 rios=1 wios=0\n", &a, &b);
        ASSERT_EQ(a, 15U);
        ASSERT_EQ(b, 20U);
        usage_parse_io("", &a, &b);
        ASSERT_EQ(a, 0U);
        ASSERT_TRUE(controllers_have("cpuset cpu io\n", "cpu"));
        ASSERT_TRUE(controllers_have("cpuset cpu io\n", "io"));
        ASSERT_FALSE(controllers_have("cpuset\n", "cpu"));
        ASSERT_FALSE(controllers_have("", "cpu"));
}

static void put(const char *dir, const char *name, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0600));
}

static void make_dir(char *ret, size_t n, const char *base, const char *name)
{
        snprintf(ret, n, "%s/%s", base, name);
        ASSERT_OK(mkdir_p(ret, 0755));
}

static void make_state(const char *dir, const char *id, pid_t pid)
{
        const VmmState state = { .backend = A("qemu"), .id = A(id), .run_dir = A(dir), .pid = pid,
                                 .start_time = 7, .transport = VM_TRANSPORT_SERIAL, .accel = VM_ACCEL_TCG };
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", dir, MACHINE_STATE_FILE);
        ASSERT_OK(vmm_state_save(&state, path));
}

TEST(usage_of_sandboxes)
{
        char base[] = "/tmp/test-cli-XXXXXX", run[128], proc[128], cgroup[128], dir[160];
        char *only[] = { A("web") };
        UsageList list;

        ASSERT_NOT_NULL(mkdtemp(base));
        make_dir(run, sizeof(run), base, "run");
        make_dir(proc, sizeof(proc), base, "proc");
        make_dir(cgroup, sizeof(cgroup), base, "cgroup");

        make_dir(dir, sizeof(dir), run, "web");
        make_state(dir, "web", 100);
        make_dir(dir, sizeof(dir), proc, "100");
        put(dir, "cgroup", "1:name=systemd:/other\n0::/kata.slice/kata-vm-web.scope\n");
        make_dir(dir, sizeof(dir), cgroup, "kata.slice/kata-vm-web.scope");
        put(dir, "cpu.stat", "usage_usec 5000\nuser_usec 1\n");
        put(dir, "memory.current", "1048576\n");
        put(dir, "pids.current", "9\n");
        put(dir, "io.stat", "8:0 rbytes=3 wbytes=4\n");
        /* Without controllers; gone meanwhile; no sandbox. */
        make_dir(dir, sizeof(dir), run, "api");
        make_state(dir, "api", 101);
        make_dir(dir, sizeof(dir), proc, "101");
        put(dir, "cgroup", "0::/api.scope\n");
        make_dir(dir, sizeof(dir), cgroup, "api.scope");
        put(dir, "cpu.stat", "usage_usec 1\n");
        make_dir(dir, sizeof(dir), run, "dead");
        make_state(dir, "dead", 102);
        make_dir(dir, sizeof(dir), run, "sandboxes");

        ASSERT_OK(usage_list_read(run, cgroup, proc, NULL, 0, &list));
        ASSERT_EQ(list.n, 2U);
        ASSERT_STREQ(list.v[0].id, "api");
        ASSERT_FALSE(list.v[0].has_memory);
        ASSERT_STREQ(list.v[1].scope, "kata-vm-web.scope");
        ASSERT_EQ(list.v[1].memory, 1048576U);
        ASSERT_EQ(list.v[1].write_bytes, 4U);
        ASSERT_EQ(list.v[1].cpu_usec, 5000U);
        ASSERT_EQ(list.v[1].tasks, 9U);
        ASSERT_NULL(usage_list_find(&list, "dead"));
        usage_list_done(&list);

        ASSERT_OK(usage_list_read(run, cgroup, proc, only, 1, &list));
        ASSERT_EQ(list.n, 1U);
        usage_list_done(&list);
        ASSERT_OK(usage_list_read("/nonexistent", cgroup, proc, NULL, 0, &list));
        ASSERT_EQ(list.n, 0U);
        ASSERT_OK(rm_rf(base));
}

/* Each value of the node configuration, written and read again, is the same. */
TEST(values_as_text)
{
        _cleanup_node_conf_ NodeConf *a = NULL, *b = NULL;

        ASSERT_OK(node_conf_new(&a));
        ASSERT_OK(node_conf_new(&b));
        a->memory = UINT64_C(3) << 30;
        a->boot_timeout = 1500 * USEC_PER_MSEC;
        a->vcpus = 7;
        CONF_KEY_FOREACH(k, node_conf_table) {
                _cleanup_free_ char *text = NULL, *again = NULL;

                ASSERT_OK(conf_key_format(k, a, &text));
                ASSERT_OK(conf_key_apply(k, text, b));
                ASSERT_OK(conf_key_format(k, b, &again));
                ASSERT_STREQ(again, text);
        }
        ASSERT_EQ(b->memory, a->memory);
        ASSERT_EQ(b->boot_timeout, a->boot_timeout);
        ASSERT_EQ(b->vcpus, 7U);
}

/* The example is a bundle that sandboxes take. */
TEST(spec)
{
        char base[] = "/tmp/test-cli-XXXXXX", root[128], path[160];
        CliArgs args = {};
        OciSpec *spec = NULL;
        char *text = NULL;
        int r;

        ASSERT_NOT_NULL(mkdtemp(base));
        make_dir(root, sizeof(root), base, "rootfs");
        args.bundle = base;
        ASSERT_EQ(verb_spec(&args), EXIT_SUCCESS);
        /* It overwrites nothing. */
        ASSERT_EQ(verb_spec(&args), EXIT_FAILURE);

        snprintf(path, sizeof(path), "%s/config.json", base);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 65536, &text, NULL));
        ASSERT_CONTAINS(text, "\"terminal\": true");
        free(text);
        r = oci_spec_load(base, &spec, &message);
        if (r < 0)
                TEST_FAIL("%s", message);
        oci_spec_free(spec);
        ASSERT_OK(rm_rf(base));
}

/* On whatever machine this is: all findings have a text, failures say what to do. */
TEST(check)
{
        const CheckPlaces places = {};
        Findings f;

        ASSERT_OK(host_check(&places, &f));
        ASSERT_TRUE(f.n >= 5);
        for (size_t i = 0; i < f.n; i++) {
                ASSERT_FALSE(isempty(f.v[i].text));
                if (f.v[i].level != FINDING_OK)
                        ASSERT_FALSE(isempty(f.v[i].advice));
        }
        findings_done(&f);
}

DEFINE_TEST_MAIN
