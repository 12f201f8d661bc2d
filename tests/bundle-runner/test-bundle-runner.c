/* SPDX-License-Identifier: Apache-2.0 */
/* Command line, states and bundles of the runner; nothing is run. */

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "tests/bundle-runner/bundle.h"
#include "tests/bundle-runner/options.h"
#include "tests/bundle-runner/record.h"

#define S(text) ((char *) (uintptr_t) (text))

static int parse(const char *line, Options *ret, char **reterr_message)
{
        /* The result points into these. */
        static char words[512], *argv[32];
        char *save = NULL;
        int argc = 1;

        memset(argv, 0, sizeof(argv));
        argv[0] = S("bundle-runner");

        snprintf(words, sizeof(words), "%s", line);
        for (char *p = strtok_r(words, " ", &save); p; p = strtok_r(NULL, " ", &save))
                argv[argc++] = p;
        return options_parse(argc, argv, ret, reterr_message);
}

TEST(command_lines)
{
        Options o;

        ASSERT_OK(parse("--root /r create --bundle /b --pid-file /p c1", &o, NULL));
        ASSERT_EQ(o.verb, VERB_CREATE);
        ASSERT_STREQ(o.root, "/r");
        ASSERT_STREQ(o.bundle, "/b");
        ASSERT_STREQ(o.pid_file, "/p");
        ASSERT_STREQ(o.id, "c1");

        ASSERT_OK(parse("--cgroup-manager cgroupfs --root=/r run --config config.json --detach c1", &o, NULL));
        ASSERT_EQ(o.verb, VERB_RUN);
        ASSERT_STREQ(o.config, "config.json");
        ASSERT_TRUE(o.detach);

        ASSERT_OK(parse("kill c1 KILL", &o, NULL));
        ASSERT_EQ(o.signal, SIGKILL);
        ASSERT_OK(parse("kill c1", &o, NULL));
        ASSERT_EQ(o.signal, SIGTERM);
        ASSERT_OK(parse("kill --all c1 9", &o, NULL));
        ASSERT_TRUE(o.all);

        ASSERT_OK(parse("delete -f c1", &o, NULL));
        ASSERT_TRUE(o.force);
        ASSERT_NULL(o.config);
        ASSERT_OK(parse("list -q -f json", &o, NULL));
        ASSERT_TRUE(o.quiet && o.json);
        ASSERT_OK(parse("exec -e A=1 --env B=2 --user 1:2 -c CAP_KILL c1 ls -e", &o, NULL));
        ASSERT_EQ(o.n_env, 2);
        ASSERT_EQ(o.n_caps, 1);
        ASSERT_STREQ(o.user, "1:2");
        ASSERT_STREQ(o.args[0], "ls");
        ASSERT_STREQ(o.args[1], "-e");
        ASSERT_NULL(o.args[2]);
        ASSERT_OK(parse("exec -d --process /p c1", &o, NULL));
        ASSERT_NULL(o.args);
        ASSERT_OK(parse("--log /l --log-format json state c1", &o, NULL));
        ASSERT_TRUE(o.log_json);
}

TEST(refused_command_lines)
{
        static const struct {
                const char *line;
                int error;
                const char *text;
        } cases[] = {
                { "", EINVAL, "no command" },
                { "checkpoint c1", ENOENT, "checkpoint" },
                { "exec c1", EINVAL, "program" },
                { "exec --process /p c1 ls", EINVAL, "program" },
                { "exec -t c1 ls", EOPNOTSUPP, "terminals" },
                { "start", EINVAL, "id of a container" },
                { "start c1 c2", EINVAL, "id of a container" },
                { "start ../c1", EINVAL, "invalid container id" },
                { "kill c1 NOSUCH", EINVAL, "NOSUCH" },
                { "start --force c1", EINVAL, "no meaning" },
                { "create --keep c1", EINVAL, "no meaning" },
                { "create --console-socket /s c1", EOPNOTSUPP, "terminals" },
                { "create --preserve-fds 2 c1", EOPNOTSUPP, "preserve-fds" },
                { "create --no-pivot c1", EOPNOTSUPP, "no-pivot" },
                { "--systemd-cgroup start c1", EOPNOTSUPP, "systemd-cgroup" },
                { "--cgroup-manager systemd start c1", EOPNOTSUPP, "systemd" },
                { "--log-format xml start c1", EINVAL, "log-format" },
                { "list c1", EINVAL, "no arguments" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *message = NULL;
                Options o;
                int r = parse(cases[i].line, &o, &message);

                if (r != -cases[i].error)
                        TEST_FAIL("'%s': %d", cases[i].line, r);
                ASSERT_CONTAINS(message, cases[i].text);
        }
}

TEST(signals)
{
        ASSERT_EQ(signal_parse("SIGTERM"), SIGTERM);
        ASSERT_EQ(signal_parse("RTMIN+2"), SIGRTMIN + 2);
        ASSERT_EQ(signal_parse("64"), 64);
        ASSERT_EQ(signal_parse("0"), -EINVAL);
        ASSERT_EQ(signal_parse("65"), -EINVAL);
        ASSERT_EQ(signal_parse("RTMIN+99"), -EINVAL);
        ASSERT_EQ(signal_parse(""), -EINVAL);
}

static char dir[] = "/tmp/test-bundle-runner-XXXXXX";

TEST(records)
{
        _cleanup_(record_done) Record back = {};
        _cleanup_(strv_done) Strv ids = {};
        _cleanup_free_ char *message = NULL, *root = NULL;
        Record record = {
                .id = S("c1"), .version = S("1.0.2"), .bundle = S("/b"), .rootfs = S("/b/rootfs"),
                .created = S("2026-01-01T00:00:00Z"), .run_dir = S("/run/x"), .agent_pid = 4711,
                .agent_start = 77, .annotations = json_object_new_object(),
        };

        ASSERT_TRUE(asprintf(&root, "%s/records", dir) > 0);
        json_object_object_add(record.annotations, "a", json_object_new_string("\"b\""));
        ASSERT_ERROR(record_load(root, "c1", &back, &message), ENOENT);
        ASSERT_CONTAINS(message, "does not exist");
        ASSERT_OK(record_list(root, &ids));
        ASSERT_EQ(ids.n, 0);

        ASSERT_OK(record_claim(root, "c1"));
        ASSERT_ERROR(record_claim(root, "c1"), EEXIST);
        ASSERT_OK(record_save(root, &record, NULL));
        json_object_put(record.annotations);

        ASSERT_OK(record_load(root, "c1", &back, NULL));
        ASSERT_STREQ(back.rootfs, "/b/rootfs");
        ASSERT_EQ(back.agent_pid, 4711);
        ASSERT_EQ(back.agent_start, 77);
        ASSERT_NULL(back.cgroup);
        ASSERT_STREQ(json_object_get_string(json_object_object_get(back.annotations, "a")), "\"b\"");
        ASSERT_OK(record_list(root, &ids));
        ASSERT_EQ(ids.n, 1);
        ASSERT_OK(record_remove(root, "c1"));
        ASSERT_ERROR(record_load(root, "c1", &back, NULL), ENOENT);
}

static void write_config(const char *process, const char *mounts)
{
        _cleanup_free_ char *text = NULL, *path = NULL;

        ASSERT_TRUE(asprintf(&text, "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"%s},"
                             "\"root\":{\"path\":\"rootfs\"},\"mounts\":[%s],\"linux\":{}}", process, mounts) > 0);
        ASSERT_TRUE(asprintf(&path, "%s/config.json", dir) > 0);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

TEST(bundles)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_free_ char *message = NULL, *rootfs = NULL, *source = NULL;

        ASSERT_TRUE(asprintf(&rootfs, "%s/rootfs", dir) > 0 && asprintf(&source, "%s/volume", dir) > 0);
        ASSERT_OK(mkdir_p(rootfs, 0755));
        write_config("", "{\"destination\":\"/v\",\"source\":\"volume\",\"options\":[\"rbind\"]},"
                     "{\"destination\":\"/w\",\"source\":\"/abs\",\"type\":\"bind\"},"
                     "{\"destination\":\"/t\",\"source\":\"tmpfs\",\"type\":\"tmpfs\"}");
        ASSERT_OK(bundle_load(dir, NULL, &oci, NULL));
        ASSERT_STREQ(oci->spec->root->path, rootfs);
        ASSERT_STREQ(oci->spec->mounts[0]->source, source);
        ASSERT_STREQ(oci->spec->mounts[1]->source, "/abs");
        ASSERT_STREQ(oci->spec->mounts[2]->source, "tmpfs");
        oci = oci_spec_free(oci);

        write_config(",\"terminal\":true", "");
        ASSERT_ERROR(bundle_load(dir, NULL, &oci, &message), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "terminal");
        ASSERT_ERROR(bundle_load("/nonexistent", NULL, &oci, &message), ENOENT);
}

TestCase *test_cases;

int main(void)
{
        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chmod(dir, 0755));
        for (TestCase *t = test_cases; t; t = t->next)
                t->run();
        return rm_rf(dir) < 0;
}
