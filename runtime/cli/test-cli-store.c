/* SPDX-License-Identifier: Apache-2.0 */
/* The store of containers: uniqueness, locks, removal under a waiter, records. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/cli/bundle-check.h"
#include "runtime/cli/container-store.h"

#define EXAMPLE(rootfs) \
        "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"" rootfs "\"}, \"process\": {\"cwd\": \"/\", " \
        "\"args\": [\"a\"], \"user\": {\"uid\": 0, \"gid\": 0}}, " \
        "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}}"
#define S(text) ((char *) (uintptr_t) (text))

static char root[64], *message;

static void make_root(void)
{
        strcpy(root, "/tmp/test-cli-store-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(root));
        strcat(root, "/root");
}

static void remove_root(void)
{
        *strrchr(root, '/') = '\0';
        ASSERT_OK(rm_rf(root));
        message = mfree(message);
}

static ContainerRecord example(void)
{
        return (ContainerRecord) {
                .id = S("c1"), .oci_version = S("1.0.2"), .bundle = S("/b"), .rootfs = S("/b/rootfs"),
                .sandbox = S("c1"), .pid = 4711, .pid_start = UINT64_C(1) << 40, .created = 1700000000000000,
                .uid = 1000, .terminal = true, .alone = true,
        };
}

TEST(life)
{
        ContainerRecord record = example(), again;
        StoreEntry entry, second;
        Strv ids = {};

        make_root();
        ASSERT_OK(store_list(root, &ids, &message));
        ASSERT_EQ(ids.n, 0U);
        ASSERT_EQ(store_open(root, "c1", &entry, &message), -ENOENT);
        ASSERT_STREQ(message, "container \"c1\" does not exist");
        ASSERT_EQ(store_create(root, "../c1", &entry, &message), -EINVAL);
        ASSERT_CONTAINS(message, "'../c1' is no container ID");

        ASSERT_OK(store_create(root, "c1", &entry, &message));
        ASSERT_EQ(store_create(root, "c1", &second, &message), -EEXIST);
        ASSERT_CONTAINS(message, "already exists");
        ASSERT_EQ(record_load(&entry, &again, &message), -ENOENT);
        ASSERT_OK(record_save(&entry, &record, &message));
        ASSERT_OK(record_load(&entry, &again, &message));
        ASSERT_STREQ(again.rootfs, "/b/rootfs");
        ASSERT_EQ(again.pid_start, record.pid_start);
        ASSERT_EQ(again.created, record.created);
        ASSERT_TRUE(again.terminal);
        ASSERT_FALSE(again.owns_sandbox);
        ASSERT_TRUE(again.alone);
        ASSERT_NULL(again.scope);
        ASSERT_NULL(again.annotations);
        record_done(&again);
        store_entry_done(&entry);

        ASSERT_OK(store_create(root, "a2", &second, &message));
        ASSERT_OK(store_list(root, &ids, &message));
        ASSERT_EQ(ids.n, 2U);
        ASSERT_STREQ(ids.v[0], "a2");
        strv_done(&ids);
        ASSERT_OK(store_remove(&second, &message));
        ASSERT_EQ(store_open(root, "a2", &second, &message), -ENOENT);
        remove_root();
}

TEST(annotations)
{
        ContainerRecord record = example(), again;
        json_object *value;
        StoreEntry entry;

        make_root();
        ASSERT_OK(store_create(root, "c1", &entry, &message));
        record.scope = S("libpod-c1.scope");
        record.annotations = json_tokener_parse("{ \"a/b\": \"c\" }");
        ASSERT_OK(record_save(&entry, &record, &message));
        json_object_put(record.annotations);
        ASSERT_OK(record_load(&entry, &again, &message));
        ASSERT_TRUE(json_object_object_get_ex(again.annotations, "a/b", &value));
        ASSERT_STREQ(json_object_get_string(value), "c");
        ASSERT_STREQ(again.scope, "libpod-c1.scope");
        record_done(&again);
        store_entry_done(&entry);
        remove_root();
}

TEST(damage)
{
        static const char *const texts[] = { "", "[]", "{}", "{\"id\":1}", "{\"id\":\"c1\",\"pid\":1" };
        ContainerRecord record;
        StoreEntry entry;
        char path[128];

        make_root();
        ASSERT_OK(store_create(root, "c1", &entry, &message));
        snprintf(path, sizeof(path), "%s/c1/" RECORD_FILE, root);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                ASSERT_OK(write_file_atomic(path, texts[i], strlen(texts[i]), 0600));
                ASSERT_TRUE(record_load(&entry, &record, &message) < 0);
                ASSERT_CONTAINS(message, path);
        }
        store_entry_done(&entry);
        remove_root();
}

/* Whoever waits for the lock learns that the container is gone. */
TEST(removed_under_a_waiter)
{
        StoreEntry entry;
        int status;
        pid_t pid;

        make_root();
        ASSERT_OK(store_create(root, "c1", &entry, &message));
        pid = ASSERT_OK(fork());
        if (pid == 0) {
                StoreEntry mine;

                safe_close(entry.fd);
                _exit(store_open(root, "c1", &mine, NULL) == -ENOENT ? 0 : 1);
        }
        usleep(100000);
        ASSERT_EQ(waitpid(pid, &status, WNOHANG), 0);
        ASSERT_OK(store_remove(&entry, &message));
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_EQ(status, 0);
        remove_root();
}

/* What can be told before a machine is booted. */
TEST(bundles)
{
        static const struct {
                const char *config, *error;
                int r;
        } cases[] = {
                { "{", "config.json", -EINVAL },
                { "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}, \"linux\": {}}", "process: missing",
                  -EINVAL },
                { EXAMPLE("rootfs"), "rootfs: No such file or directory", -ENOENT },
                { EXAMPLE("config.json"), "config.json: Not a directory", -ENOTDIR },
                { EXAMPLE("/"), NULL, 0 },
        };
        char path[128];

        make_root();
        ASSERT_OK(mkdir(root, 0700));
        snprintf(path, sizeof(path), "%s/config.json", root);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                OciBundle bundle = {};
                int r;

                ASSERT_OK(write_file_atomic(path, cases[i].config, strlen(cases[i].config), 0600));
                r = bundle_open(root, &bundle, &message);
                if (r >= 0)
                        r = bundle_check(&bundle, &message);
                ASSERT_EQ(r, cases[i].r);
                if (r < 0)
                        ASSERT_CONTAINS(message, cases[i].error);
                bundle_done(&bundle);
        }
        remove_root();
}

DEFINE_TEST_MAIN
