/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods about network, files and volumes as a host calls them: bytes as they stand on the wire
 * (fake-host.h). Nothing needs privileges: what would change this machine is refused by it.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "agent/fake-host.h"
#include "basic/fd.h"

TEST(lists)
{
        start();
        /* Interfaces { Interfaces 1 { name 2 } }: any namespace has a loopback. */
        ASSERT_EQ(call_empty("ListInterfaces"), 0);
        ASSERT_TRUE(reply_size > 0 && reply[0] == 0x0a);
        ASSERT_TRUE(reply_contains("\x12\x02lo", 4));
        ASSERT_EQ(call_empty("ListRoutes"), 0);
        stop();
}

TEST(network)
{
        start();
        /* interface 1 { name 2 "eth7", hwAddr 5 } */
        ASSERT_EQ(CALL("UpdateInterface", 0x0a, 25, 0x12, 4, 'e', 't', 'h', '7', 0x2a, 17,
                       '0', '2', ':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '7', '7', ':', '7', '7'),
                  TTRPC_INTERNAL);
        ASSERT_CONTAINS(reply_text, "interface eth7: there is none with MAC address 02:00:00:00:77:77");
        ASSERT_EQ(call_empty("UpdateInterface"), TTRPC_INVALID_ARGUMENT);
        /* interface 1 { name 2 "a/b" }; { name 2 "e", devicePath 6 "x" } */
        ASSERT_EQ(CALL("UpdateInterface", 0x0a, 5, 0x12, 3, 'a', '/', 'b'), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(CALL("UpdateInterface", 0x0a, 6, 0x12, 1, 'e', 0x32, 1, 'x'), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "'x' is not a PCI path");

        /* routes 1 { Routes 1 { dest 1, device 3 } } */
        ASSERT_EQ(CALL("UpdateRoutes", 0x0a, 22, 0x0a, 20, 0x0a, 10, '1', '0', '.', '0', '.', '0', '.', '0', '/',
                       '8', 0x1a, 6, 'n', 'o', 'n', 'e', '7', '7'), TTRPC_INTERNAL);
        ASSERT_CONTAINS(reply_text, "route 10.0.0.0/8 dev none77: there is no such interface (there are: ");
        ASSERT_EQ(call_empty("UpdateRoutes"), TTRPC_INVALID_ARGUMENT);

        /* neighbors 1 { ARPNeighbors 1 { toIPAddress 1 { address 2 }, device 2, lladdr 3 } } */
        ASSERT_EQ(CALL("AddARPNeighbors", 0x0a, 41, 0x0a, 39, 0x0a, 10, 0x12, 8, '1', '0', '.', '0', '.', '0', '.',
                       '9', 0x12, 6, 'n', 'o', 'n', 'e', '7', '7', 0x1a, 17, '0', '2', ':', '0', '0', ':', '0',
                       '0', ':', '0', '0', ':', '0', '0', ':', '0', '1'), TTRPC_INTERNAL);
        ASSERT_CONTAINS(reply_text, "neighbour 10.0.0.9: there is no interface none77");
        ASSERT_EQ(call_empty("AddARPNeighbors"), 0);
        ASSERT_EQ(reply_size, 0);
        stop();
}

/* One after the other, and each answered: also those whose caller has gone. */
TEST(serial_calls)
{
        uint32_t ids[8];

        start();
        for (unsigned i = 0; i < ELEMENTSOF(ids); i++)
                ids[i] = send_call("ListInterfaces", NULL, 0);
        for (unsigned i = 0; i < ELEMENTSOF(ids); i++)
                ASSERT_EQ(take_answer(ids[i]), 0);

        for (unsigned i = 0; i < ELEMENTSOF(ids); i++)
                send_call("ListInterfaces", NULL, 0);
        ASSERT_OK(loop_run_once(loop, 20));
        safe_close(host_fd);
        for (unsigned i = 0; i < 20; i++)
                ASSERT_OK(loop_run_once(loop, 5));
        host_fd = -EBADF;
        stop();
}

TEST(calls_are_bounded)
{
        unsigned n = 0;
        int code;

        start();
        /* The workers can not be done before this process looks. */
        for (unsigned i = 0; i < CALLS_MAX + 1; i++)
                send_call("GetVolumeStats", (const uint8_t *) "\x0a\x01/", 3);
        for (unsigned i = 0; i < CALLS_MAX + 1; i++) {
                while (recv(host_fd, reply, 10, MSG_DONTWAIT | MSG_PEEK) < 10)
                        ASSERT_OK(loop_run_once(loop, 20));
                code = take_answer(reply[7]);
                ASSERT_TRUE(code == TTRPC_INVALID_ARGUMENT || code == TTRPC_RESOURCE_EXHAUSTED);
                n += code == TTRPC_RESOURCE_EXHAUSTED;
        }
        ASSERT_EQ(n, 1);
        stop();
}

TEST(packet_filter)
{
        int code;

        start();
        /* is_ipv6 1, data 2: a program that the build has not, or that this user may not use. */
        code = CALL("GetIPTables", 0x08, 1);
        ASSERT_TRUE(code == TTRPC_FAILED_PRECONDITION || code == TTRPC_INTERNAL ||
                    code == TTRPC_INVALID_ARGUMENT || code == 0);
        if (code == TTRPC_FAILED_PRECONDITION)
                ASSERT_CONTAINS(reply_text, "the guest image has no /usr/sbin/ip6tables-save");
        code = CALL("SetIPTables", 0x12, 5, '*', 'b', 'a', 'd', '\n');
        ASSERT_TRUE(code == TTRPC_FAILED_PRECONDITION || code == TTRPC_INTERNAL ||
                    code == TTRPC_INVALID_ARGUMENT);
        if (code == TTRPC_FAILED_PRECONDITION)
                ASSERT_CONTAINS(reply_text, "the guest image has no /usr/sbin/iptables-restore");
        stop();
}

TEST(volumes)
{
        static const uint8_t ok[] = { 0x12, 4, 0x12, 2, 'O', 'K' };

        start();
        /* volume_guest_path 1; usage 1 twice { available 1, total 2, used 3, unit 4 }, condition 2 { message 2 } */
        ASSERT_EQ(CALL("GetVolumeStats", 0x0a, 5, '/', 'p', 'r', 'o', 'c'), 0);
        ASSERT_EQ(reply[0], 0x0a);
        ASSERT_TRUE(reply_contains("\x20\x01", 2));
        ASSERT_TRUE(reply_contains("\x20\x02", 2));
        ASSERT_TRUE(reply_size > sizeof(ok) &&
                    memcmp(reply + reply_size - sizeof(ok), ok, sizeof(ok)) == 0);
        ASSERT_EQ(CALL("GetVolumeStats", 0x0a, 8, '/', 'n', 'o', 'w', 'h', 'e', 'r', 'e'), TTRPC_NOT_FOUND);
        ASSERT_CONTAINS(reply_text, "volume /nowhere: No such file");
        ASSERT_EQ(CALL("GetVolumeStats", 0x0a, 1, 'x'), TTRPC_INVALID_ARGUMENT);

        /* volume_guest_path 1, size 2 */
        ASSERT_EQ(CALL("ResizeVolume", 0x0a, 2, '/', 'v', 0x10, 1), TTRPC_UNIMPLEMENTED);
        ASSERT_CONTAINS(reply_text, "volume /v: ");

        /* storages 1 { driver 1 "ephemeral", fstype 4 "tmpfs", options 5 "remount", mount_point 6 } */
        ASSERT_EQ(CALL("UpdateEphemeralMounts", 0x0a, 51,
                       0x0a, 9, 'e', 'p', 'h', 'e', 'm', 'e', 'r', 'a', 'l', 0x22, 5, 't', 'm', 'p', 'f', 's',
                       0x2a, 7, 'r', 'e', 'm', 'o', 'u', 'n', 't',
                       0x32, 22, '/', 'r', 'u', 'n', '/', 'k', 'a', 't', 'a', '-', 'c', 'o', 'n', 't', 'a', 'i',
                       'n', 'e', 'r', 's', '/', 'v'), TTRPC_NOT_FOUND);
        ASSERT_CONTAINS(reply_text, "nothing is mounted on /run/kata-containers/v");
        ASSERT_EQ(CALL("UpdateEphemeralMounts", 0x0a, 5, 0x0a, 3, 'b', 'l', 'k'), TTRPC_UNIMPLEMENTED);
        ASSERT_EQ(call_empty("UpdateEphemeralMounts"), 0);

        ASSERT_EQ(call_empty("RemoveStaleVirtiofsShareMounts"), 0);
        ASSERT_EQ(reply_size, 0);
        stop();
}

TEST(swap_and_memory)
{
        int code;

        start();
        /* PCIPath 1, packed and not; path 1 */
        ASSERT_EQ(CALL("AddSwap", 0x0a, 2, 0x80, 0x02), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "not a PCI path of this machine (1 hops)");
        ASSERT_EQ(CALL("AddSwap", 0x08, 0x80, 0x02, 0x08, 1), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "(2 hops)");
        ASSERT_EQ(CALL("AddSwapPath", 0x0a, 4, '/', 'e', 't', 'c'), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "'/etc' is not a device node");
        code = CALL("AddSwapPath", 0x0a, 9, '/', 'd', 'e', 'v', '/', 'n', 'u', 'l', 'l');
        ASSERT_TRUE(code != 0);
        /* No address: nothing is added. */
        ASSERT_EQ(call_empty("MemHotplugByProbe"), 0);
        stop();
}

TEST(files)
{
        start();
        /* path 1 */
        ASSERT_EQ(CALL("CopyFile", 0x0a, 11, '/', 'e', 't', 'c', '/', 'p', 'a', 's', 's', 'w', 'd'),
                  TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "copying '/etc/passwd': not a path below /run/kata-containers/shared/");
        /* log_type 1, container_id 2 */
        ASSERT_EQ(CALL("GetDiagnosticData", 0x0a, 1, 'x', 0x12, 2, 'c', '1'), TTRPC_NOT_FOUND);
        stop();
}

static void create_container(const char *log)
{
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__Process process = GRPC__PROCESS__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *entries[] = { &entry };
        Grpc__Mount mount = GRPC__MOUNT__INIT, *mounts[] = { &mount };
        char id[] = "c1", command[] = "run", *args[] = { command }, path[] = "/dev/log";
        char key[] = "io.kubernetes.container.terminationMessagePath";
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        process.args = args;
        process.n_args = 1;
        spec.process = &process;
        entry.key = key;
        entry.value = path;
        mount.destination = path;
        mount.source = (char *) (uintptr_t) log;
        spec.annotations = entries;
        spec.mounts = mounts;
        spec.n_annotations = spec.n_mounts = 1;
        q.container_id = id;
        q.oci = &spec;
        ASSERT_OK(ttrpc_build_request(next_id, "grpc.AgentService", "CreateContainer", &q.base, 0, &frame, &n));
        ASSERT_EQ(send(host_fd, frame, n, MSG_NOSIGNAL), n);
        ASSERT_EQ(take_answer(next_id), 0);
        next_id += 2;
}

TEST(diagnostic_data)
{
        static const uint8_t last_words[] = { 0x0a, 4, 'b', 'y', 'e', '\n' };
        char path[] = "/tmp/test-agent-methods-XXXXXX";
        int fd = mkstemp(path);

        ASSERT_TRUE(fd >= 0);
        ASSERT_OK(write_full(fd, "bye\n", 4));
        safe_close(fd);

        start();
        /* sandbox_id 5 */
        ASSERT_EQ(CALL("CreateSandbox", 0x2a, 2, 's', 'b'), 0);
        create_container(path);
        ASSERT_EQ(CALL("GetDiagnosticData", 0x0a, 15, 't', 'e', 'r', 'm', 'i', 'n', 'a', 't', 'i', 'o', 'n', '_',
                       'l', 'o', 'g', 0x12, 2, 'c', '1'), 0);
        ASSERT_EQ(reply_size, sizeof(last_words));
        ASSERT_TRUE(memcmp(reply, last_words, sizeof(last_words)) == 0);
        ASSERT_EQ(CALL("GetDiagnosticData", 0x0a, 1, 'x', 0x12, 2, 'c', '1'), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "log type 'x' is not known");
        ASSERT_OK(unlink(path));
        ASSERT_EQ(CALL("GetDiagnosticData", 0x0a, 15, 't', 'e', 'r', 'm', 'i', 'n', 'a', 't', 'i', 'o', 'n', '_',
                       'l', 'o', 'g', 0x12, 2, 'c', '1'), TTRPC_NOT_FOUND);
        stop();
}

DEFINE_TEST_MAIN
