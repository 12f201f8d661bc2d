/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the choice of kernel and initrd, in a directory of their own. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/vmm/distribution.h"

#define RELEASE "6.12.1-cloud-amd64"

static char base[] = "/tmp/test-distribution-XXXXXX";

static void put(const char *name, const char *text)
{
        _cleanup_free_ char *path = NULL, *dir = NULL;

        ASSERT_OK(asprintf(&path, "%s/%s", base, name));
        dir = strdup(path);
        *strrchr(dir, '/') = '\0';
        ASSERT_OK(mkdir_p(dir, 0755));
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

/* As kata-image writes it: of one input, with its time as it is plus offset. */
static void put_inputs(const char *release, int64_t offset, const char *last)
{
        _cleanup_free_ char *text = NULL, *path = NULL;
        struct stat st;

        ASSERT_OK(asprintf(&path, "%s/agent", base));
        ASSERT_OK(stat(path, &st));
        ASSERT_OK(asprintf(&text, "version=1\nrelease=%s\ninput=5 %" PRId64 ".%09ld %s\n%s", release,
                           (int64_t) st.st_mtim.tv_sec + offset, st.st_mtim.tv_nsec, path, last));
        put("initrd/" RELEASE ".img.inputs", text);
}

static int find(char **reterr_message)
{
        _cleanup_(distribution_kernel_done) DistributionKernel d = {};
        _cleanup_free_ char *dir = NULL;
        int r;

        ASSERT_OK(asprintf(&dir, "%s/initrd", base));
        r = distribution_kernel_find(base, dir, NULL, &d, reterr_message);
        if (r >= 0) {
                ASSERT_STREQ(d.kernel.release, RELEASE);
                ASSERT_CONTAINS(d.kernel.image, "/boot/vmlinuz-" RELEASE);
                ASSERT_CONTAINS(d.initrd, "/initrd/" RELEASE ".img");
        }
        return r;
}

static void check_refused(int error, const char *part)
{
        _cleanup_free_ char *m = NULL;

        ASSERT_EQ(find(&m), -error);
        ASSERT_CONTAINS(m, part);
        ASSERT_CONTAINS(m, ": run kata-image initrd --kernel-release " RELEASE);
        ASSERT_NULL(strchr(m, '\n'));
}

TEST(all)
{
        _cleanup_free_ char *m = NULL;

        ASSERT_NOT_NULL(mkdtemp(base));
        ASSERT_ERROR(find(&m), ENOENT);
        ASSERT_CONTAINS(m, "Kernel=distribution: no kernel of the distribution");

        put("boot/vmlinuz-" RELEASE, "x");
        put("usr/lib/modules/" RELEASE "/modules.dep.bin", "x");
        put("agent", "agent");
        check_refused(ENOENT, "is missing");

        put("initrd/" RELEASE ".img", "archive");
        check_refused(ESTALE, "of unknown origin");
        put_inputs(RELEASE, 0, "size=7\n");
        ASSERT_OK(find(NULL));

        put_inputs(RELEASE, 1, "size=7\n");
        check_refused(ESTALE, "is out of date");
        check_refused(ESTALE, "/agent has changed since");
        put_inputs(RELEASE, 0, "size=8\n");
        check_refused(ESTALE, ".img has changed since");
        put_inputs(RELEASE, 0, "size=7\ninput=1 1.000000000 /nonexistent/x\n");
        check_refused(ESTALE, "/nonexistent/x has changed since");
        put_inputs("6.1", 0, "size=7\n");
        check_refused(ESTALE, "of unknown origin");
        put_inputs(RELEASE, 0, "");
        check_refused(ESTALE, "of unknown origin");
        put_inputs(RELEASE, 0, "size=7\nnonsense\n");
        check_refused(ESTALE, "of unknown origin");
        put_inputs(RELEASE, 0, "size=7\ninput=1 relative\n");
        check_refused(ESTALE, "of unknown origin");

        put_inputs(RELEASE, 0, "size=7\n");
        put("agent", "longer than before");
        check_refused(ESTALE, "/agent has changed since");
        ASSERT_OK(rm_rf(base));
}

DEFINE_TEST_MAIN
