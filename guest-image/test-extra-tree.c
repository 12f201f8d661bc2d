/* SPDX-License-Identifier: Apache-2.0 */
/* What an image may have besides the agent, from what is installed on this machine. No root. */

#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/kernel-release.h"
#include "basic/test.h"
#include "guest-image/extra-tree.h"

static const TreeFile *find(const Tree *tree, const char *path)
{
        for (size_t i = 0; i < tree->n_files; i++)
                if (streq(tree->files[i].path, path))
                        return &tree->files[i];

        return NULL;
}

static const TreeFile *find_suffix(const Tree *tree, const char *suffix)
{
        for (size_t i = 0; i < tree->n_files; i++)
                if (endswith(tree->files[i].path, suffix))
                        return &tree->files[i];

        return NULL;
}

TEST(iptables_missing)
{
        char root[] = "/tmp/test-extra-tree-XXXXXX";
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL;

        ASSERT_NOT_NULL(mkdtemp(root));
        ASSERT_ERROR(extra_tree_iptables(&tree, root, &message), ENOENT);
        ASSERT_CONTAINS(message, "install package iptables there");
        ASSERT_OK(rm_rf(root));
}

TEST(iptables)
{
        static const char *const names[] = {
                "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore",
        };
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL;

        if (access("/usr/sbin/xtables-nft-multi", X_OK) < 0) {
                fprintf(stderr, "no iptables here, not looked at\n");
                return;
        }
        if (extra_tree_iptables(&tree, "/", &message) < 0)
                TEST_FAIL("%s", message);

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64];

                snprintf(path, sizeof(path), "/usr/sbin/%s", names[i]);
                ASSERT_STREQ(ASSERT_NOT_NULL(find(&tree, path))->target, "xtables-nft-multi");
        }
        ASSERT_EQ(ASSERT_NOT_NULL(find(&tree, "/usr/sbin/xtables-nft-multi"))->mode, 0755);
        ASSERT_NOT_NULL(find_suffix(&tree, "/libxt_conntrack.so"));
        ASSERT_NOT_NULL(find_suffix(&tree, "/libip6t_REJECT.so"));
        ASSERT_NOT_NULL(find_suffix(&tree, "/libxtables.so.12"));
        ASSERT_NULL(find_suffix(&tree, "/libxt_connlabel.so"));
        ASSERT_NULL(find_suffix(&tree, "/libebt_ip.so"));
        for (size_t i = 0; i < tree.n_files; i++)
                if (tree.files[i].source)
                        ASSERT_OK(access(tree.files[i].source, R_OK));
}

static void put(const char *path, const char *text)
{
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

TEST(modules)
{
        char list[] = "/tmp/test-extra-tree-XXXXXX";
        _cleanup_(kernel_release_done) KernelRelease k = {};
        BuildOptions options = { .root = "/", .modules_list = list };
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL, *index = NULL;
        const TreeFile *f;
        const char *line;

        ASSERT_NOT_NULL(mkdtemp(list));
        ASSERT_OK(rmdir(list));
        ASSERT_ERROR(extra_tree_modules(&tree, &options, &message), ENOENT);
        ASSERT_CONTAINS(message, "list of modules");
        if (kernel_release_find(NULL, NULL, &k, &message) < 0) {
                fprintf(stderr, "%s; not tested\n", message);
                return;
        }

        put(list, "required no_such_module x\n");
        ASSERT_ERROR(extra_tree_modules(&tree, &options, &message), ENOENT);
        ASSERT_CONTAINS(message, "has no module 'no_such_module'");
        put(list, "required dm-verity x\noptional no_such_module x\n");
        if (extra_tree_modules(&tree, &options, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_OK(unlink(list));

        ASSERT_OK(asprintf(&index, "/usr/lib/modules/%s/modules.dep", k.release));
        f = ASSERT_NOT_NULL(find(&tree, index));
        line = strstr(f->text, "/dm-verity.ko");
        if (!line)
                return;         /* built in */
        ASSERT_NOT_NULL(find_suffix(&tree, "/modules.builtin"));
        /* The nearest dependencies come first, and every file of the index is there. */
        ASSERT_CONTAINS(line, "/dm-bufio.ko");
        ASSERT_TRUE(strstr(line, "/dm-bufio.ko") < ASSERT_NOT_NULL(strstr(line, "/dm-mod.ko")));
        for (size_t i = 0; i < tree.n_files; i++)
                if (endswith(tree.files[i].path, ".ko"))
                        ASSERT_NOT_NULL(strstr(f->text, strstr(tree.files[i].path, "kernel/")));
}

DEFINE_TEST_MAIN
