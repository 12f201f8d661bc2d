/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime spec: an example config.json, as a start for one's own. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/cli/command.h"

const CliOption spec_options[] = {
        { "bundle", 'b', "DIR", CLI_ARG(bundle), "Write to DIR instead of the current directory" },
        {}
};

/* What runtimes agree upon: a shell with the few capabilities that containers customarily have. */
static const char example[] =
        "{\n"
        "\t\"ociVersion\": \"1.0.2\",\n"
        "\t\"process\": {\n"
        "\t\t\"terminal\": true,\n"
        "\t\t\"user\": { \"uid\": 0, \"gid\": 0 },\n"
        "\t\t\"args\": [ \"sh\" ],\n"
        "\t\t\"env\": [\n"
        "\t\t\t\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
        "\t\t\t\"TERM=xterm\"\n"
        "\t\t],\n"
        "\t\t\"cwd\": \"/\",\n"
        "\t\t\"capabilities\": {\n"
        "\t\t\t\"bounding\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
        "\t\t\t\"effective\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
        "\t\t\t\"permitted\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ]\n"
        "\t\t},\n"
        "\t\t\"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024 } ],\n"
        "\t\t\"noNewPrivileges\": true\n"
        "\t},\n"
        "\t\"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
        "\t\"hostname\": \"kata\",\n"
        "\t\"mounts\": [\n"
        "\t\t{ \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ]\n"
        "\t\t},\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\", \"gid=5\" ]\n"
        "\t\t},\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\" ]\n"
        "\t\t},\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\" ]\n"
        "\t\t},\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"ro\" ]\n"
        "\t\t},\n"
        "\t\t{\n"
        "\t\t\t\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
        "\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\" ]\n"
        "\t\t}\n"
        "\t],\n"
        "\t\"linux\": {\n"
        "\t\t\"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },\n"
        "\t\t\"namespaces\": [\n"
        "\t\t\t{ \"type\": \"pid\" }, { \"type\": \"network\" }, { \"type\": \"ipc\" },\n"
        "\t\t\t{ \"type\": \"uts\" }, { \"type\": \"mount\" }, { \"type\": \"cgroup\" }\n"
        "\t\t],\n"
        "\t\t\"maskedPaths\": [\n"
        "\t\t\t\"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\", \"/proc/latency_stats\",\n"
        "\t\t\t\"/proc/timer_list\", \"/proc/timer_stats\", \"/proc/sched_debug\", \"/sys/firmware\", \"/proc/scsi\"\n"
        "\t\t],\n"
        "\t\t\"readonlyPaths\": [\n"
        "\t\t\t\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\"\n"
        "\t\t]\n"
        "\t}\n"
        "}\n";

int verb_spec(const CliArgs *args)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&path, "%s/config.json", args->bundle ? args->bundle : ".") < 0) {
                path = NULL;
                return log_oom(), EXIT_FAILURE;
        }

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0) {
                (void) log_error_errno(errno, "%s", path);
                return EXIT_FAILURE;
        }
        r = write_full(fd, example, sizeof(example) - 1);
        if (r < 0) {
                (void) log_error_errno(r, "%s", path);
                (void) unlink(path);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
