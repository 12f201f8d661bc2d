/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole agent but for PID 1 and containers: a host at the other end of the unix and of the serial
 * transport goes through the life of a sandbox.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/fake-container.h"
#include "agent/services.h"
#include "agent/test-agent-host.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "proto/mux-pump.h"

TEST(readiness_and_log)
{
        Host host;
        int fd, log;

        host_start(&host);
        run(&host, 5);
        fd = accept(host.notify_fd, NULL, NULL);
        ASSERT_TRUE(fd >= 0);
        ASSERT_STREQ(take_text(&host, fd),
                     "READY=1\nSTATUS=agent ready\nX_KATA_AGENT_VERSION=" PROJECT_VERSION "\n");
        ASSERT_STREQ(take_text(&host, fd), "(end)");
        log = host_connect(&host, 1025, 0);
        ASSERT_CONTAINS(take_text(&host, log), "ready on unix");
        safe_close(fd);
        safe_close(log);
        host_stop(&host);
}

static bool port_is_open(const Host *host, uint32_t port)
{
        char path[100];

        snprintf(path, sizeof(path), "%s/%u", host->dir, port);
        return access(path, F_OK) >= 0;
}

TEST(debug_port_on_request_only)
{
        AgentCmdline with = cmdline;
        Host host;

        host_start(&host);
        ASSERT_TRUE(port_is_open(&host, 1025));
        ASSERT_FALSE(port_is_open(&host, 1026));
        host_stop(&host);

        with.debug_console = true;
        with.debug_port = 1026;
        host_start_with(&host, &with);
        ASSERT_TRUE(port_is_open(&host, 1026));
        host_stop(&host);
}

TEST(life_with_streams)
{
        Grpc__WaitProcessResponse *wait;
        _cleanup_pb_arena_ PbArena arena;
        uint32_t w1, w2;
        int out, err;
        Host host;

        pb_arena_init(&arena, 0);
        host_start(&host);
        ASSERT_EQ(create_container(&host, "run", 0, 0), TTRPC_FAILED_PRECONDITION);
        ASSERT_EQ(create_sandbox(&host), 0);
        ASSERT_EQ(create_sandbox(&host), TTRPC_ALREADY_EXISTS);

        out = host_connect(&host, 1027, 7001);
        err = host_connect(&host, 1027, 7002);
        ASSERT_EQ(create_container(&host, "run", 7001, 7002), 0);
        ASSERT_EQ(create_container(&host, "run", 0, 0), TTRPC_ALREADY_EXISTS);
        w1 = send_wait(&host);
        w2 = send_wait(&host);
        ASSERT_EQ(start_container(&host), 0);
        ASSERT_STREQ(take_text(&host, out), "out\n");
        ASSERT_STREQ(take_text(&host, err), "err\n");
        ASSERT_EQ(start_container(&host), TTRPC_FAILED_PRECONDITION);

        fake_print(fake_last, "last words", "");
        fake_exit(fake_last, 3);
        ASSERT_EQ(take_answer(&host, w2), 0);
        ASSERT_EQ(take_answer(&host, w1), 0);
        ASSERT_OK(pb_unpack(&grpc__wait_process_response__descriptor, &arena, reply, reply_size, &wait));
        ASSERT_EQ(wait->status, 3);
        ASSERT_STREQ(take_text(&host, out), "last words");
        ASSERT_STREQ(take_text(&host, out), "(end)");
        ASSERT_STREQ(take_text(&host, err), "(end)");

        /* The status stays until the container is removed. */
        ASSERT_EQ(take_answer(&host, send_wait(&host)), 0);
        ASSERT_EQ(remove_container(&host), 0);
        ASSERT_EQ(remove_container(&host), TTRPC_NOT_FOUND);
        ASSERT_NULL(fake_last);
        safe_close(out);
        safe_close(err);
        host_stop(&host);
}

TEST(host_comes_back)
{
        Kata__Systemd__V1__AttachStdioRequest q = KATA__SYSTEMD__V1__ATTACH_STDIO_REQUEST__INIT;
        Kata__Systemd__V1__ListContainersRequest list = KATA__SYSTEMD__V1__LIST_CONTAINERS_REQUEST__INIT;
        Kata__Systemd__V1__ListContainersResponse *containers;
        _cleanup_pb_arena_ PbArena arena;
        uint32_t id;
        Host host;
        int out;

        pb_arena_init(&arena, 0);
        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        out = host_connect(&host, 1027, 7011);
        ASSERT_EQ(send(out, "ACK 0\n", 6, MSG_NOSIGNAL), 6);
        ASSERT_EQ(create_container(&host, "run", 7011, 0), 0);
        ASSERT_EQ(start_container(&host), 0);
        ASSERT_STREQ(take_text(&host, out), "out\n");

        /* Killed before it acknowledged. */
        safe_close(out);
        safe_close(host.rpc);
        run(&host, 5);
        fake_print(fake_last, "meanwhile\n", "");
        run(&host, 5);

        host.rpc = host_connect(&host, 1024, 0);
        host.next_id = 1;
        id = send_call(&host, EXTENSION_SERVICE, "ListContainers", &list.base);
        ASSERT_EQ(take_answer(&host, id), 0);
        ASSERT_OK(pb_unpack(&kata__systemd__v1__list_containers_response__descriptor, &arena, reply,
                            reply_size, &containers));
        ASSERT_EQ(containers->n_containers, 1);
        ASSERT_STREQ(containers->containers[0]->container_id, "c1");
        ASSERT_STREQ(containers->containers[0]->state, "running");
        ASSERT_EQ(containers->containers[0]->pid, 4711);

        /* The request may come before its stream. */
        q.container_id = container_name;
        q.stdout_port = 7012;
        id = send_call(&host, EXTENSION_SERVICE, "AttachStdio", &q.base);
        ASSERT_EQ(take_answer(&host, id), -1);
        out = host_connect(&host, 1027, 7012);
        ASSERT_EQ(take_answer(&host, id), 0);
        ASSERT_STREQ(take_text(&host, out), "out\nmeanwhile\n");

        /* There is no stderr, since the container was made without. */
        q.stdout_port = 0;
        q.stderr_port = 7013;
        safe_close(host_connect(&host, 1027, 7013));
        id = send_call(&host, EXTENSION_SERVICE, "AttachStdio", &q.base);
        ASSERT_EQ(take_answer(&host, id), TTRPC_FAILED_PRECONDITION);
        safe_close(out);
        host_stop(&host);
}

TEST(life_with_calls)
{
        Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;
        Grpc__SignalProcessRequest kill = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
        uint32_t id;
        Host host;

        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        ASSERT_EQ(create_container(&host, "run", 0, 0), 0);
        q.container_id = container_name;
        q.len = 100;
        id = send_call(&host, AGENT_SERVICE, "ReadStdout", &q.base);
        ASSERT_EQ(take_answer(&host, id), -1);
        {
                uint32_t start_id;
                Grpc__StartContainerRequest s = GRPC__START_CONTAINER_REQUEST__INIT;

                s.container_id = container_name;
                start_id = send_call(&host, AGENT_SERVICE, "StartContainer", &s.base);
                ASSERT_EQ(take_answer(&host, start_id), 0);
        }
        ASSERT_EQ(take_answer(&host, id), 0);
        ASSERT_EQ(reply_size, 6);
        ASSERT_TRUE(memcmp(reply + 2, "out\n", 4) == 0);

        kill.container_id = container_name;
        kill.signal = 99;
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), TTRPC_INVALID_ARGUMENT);
        kill.signal = SIGKILL;
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), 0);
        /* Gone already: no error. */
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), 0);
        ASSERT_EQ(call(&host, "ReadStderr", &q.base), 0);
        ASSERT_EQ(reply_size, 6);
        ASSERT_EQ(call(&host, "ReadStderr", &q.base), 0);
        ASSERT_EQ(reply_size, 0);
        q.exec_id = (char *) (uintptr_t) "other";
        ASSERT_EQ(call(&host, "ReadStderr", &q.base), TTRPC_NOT_FOUND);
        ASSERT_CONTAINS(reply_text, "has no process 'other'");
        host_stop(&host);
}

/* For what a worker does. */
static int call_slowly(Host *host, const char *service, const char *method, const ProtobufCMessage *q)
{
        uint32_t id = send_call(host, service, method, q);
        int r = -1;

        for (unsigned i = 0; r == -1 && i < 300; i++)
                r = take_answer(host, id);
        return r;
}

static int call_extension(Host *host, const char *method, const ProtobufCMessage *q)
{
        return call_slowly(host, EXTENSION_SERVICE, method, q);
}

static void check_extended_exec(Host *host)
{
        Kata__Systemd__V1__ExecProcessRequest extended = KATA__SYSTEMD__V1__EXEC_PROCESS_REQUEST__INIT;
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
        Grpc__Process process = GRPC__PROCESS__INIT;
        char *args[] = { (char *) (uintptr_t) "run" };

        ASSERT_EQ(call_extension(host, "ExecProcess", &extended.base), TTRPC_INVALID_ARGUMENT);
        extended.request = &q;
        q.container_id = container_name;
        q.exec_id = (char *) (uintptr_t) "e1";
        q.process = &process;
        process.args = args;
        process.n_args = 1;
        ASSERT_EQ(call_extension(host, "ExecProcess", &extended.base), 0);
        ASSERT_EQ(fake_exec_umask, -1);
        q.exec_id = (char *) (uintptr_t) "e2";
        extended.extension = &extension;
        extension.has_umask = true;
        extension.umask = 077;
        ASSERT_EQ(call_extension(host, "ExecProcess", &extended.base), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_EQ(fake_exec_umask, 077);
}

static void check_extended_update(Host *host)
{
        Kata__Systemd__V1__UpdateContainerRequest extended = KATA__SYSTEMD__V1__UPDATE_CONTAINER_REQUEST__INIT;
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Grpc__UpdateContainerRequest q = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *list[] = { &entry };

        ASSERT_EQ(call_extension(host, "UpdateContainer", &extended.base), TTRPC_INVALID_ARGUMENT);
        extended.request = &q;
        extended.extension = &extension;
        q.container_id = (char *) (uintptr_t) "nobody";
        ASSERT_EQ(call_extension(host, "UpdateContainer", &extended.base), TTRPC_NOT_FOUND);
        q.container_id = container_name;
        extension.unified = list;
        extension.n_unified = 1;
        entry.key = (char *) (uintptr_t) "memory.high";
        entry.value = (char *) (uintptr_t) "1000000";
        ASSERT_EQ(call_extension(host, "UpdateContainer", &extended.base), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_STREQ(fake_unified, "memory.high=1000000");
}

TEST(properties_beyond_the_protocol)
{
        Kata__Systemd__V1__CreateContainerRequest extended = KATA__SYSTEMD__V1__CREATE_CONTAINER_REQUEST__INIT;
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Grpc__CreateContainerRequest q;
        Grpc__Process process;
        Grpc__Spec spec;
        char *args[1];
        Host host;

        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        ASSERT_EQ(take_answer(&host, send_call(&host, EXTENSION_SERVICE, "CreateContainer", &extended.base)),
                  TTRPC_INVALID_ARGUMENT);
        fill_create(&q, &spec, &process, args, "run");
        extended.request = &q;
        extended.extension = &extension;
        extension.domainname = (char *) (uintptr_t) "example.org";
        ASSERT_EQ(take_answer(&host, send_call(&host, EXTENSION_SERVICE, "CreateContainer", &extended.base)), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_STREQ(fake_domainname, "example.org");
        ASSERT_EQ(start_container(&host), 0);

        check_extended_exec(&host);
        check_extended_update(&host);
        ASSERT_EQ(remove_container(&host), 0);
        host_stop(&host);
}

static void remove_by_id(Host *host, const char *id)
{
        Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

        q.container_id = (char *) (uintptr_t) id;
        ASSERT_EQ(call_slowly(host, AGENT_SERVICE, "RemoveContainer", &q.base), 0);
}

/* Mounts of another container, which is known by its name in the pod or by its id; string_user means nothing. */
TEST(shared_mounts)
{
        Grpc__StringEntry annotation = GRPC__STRING_ENTRY__INIT, *annotations[] = { &annotation };
        Grpc__SharedMount shared[2] = { GRPC__SHARED_MOUNT__INIT, GRPC__SHARED_MOUNT__INIT };
        Grpc__SharedMount *list[] = { &shared[0], &shared[1] };
        Grpc__StringUser user = GRPC__STRING_USER__INIT;
        static const struct {
                const char *name, *source, *source_path, *target, *target_path;
                int code;
                const char *text;
        } cases[] = {
                { "m", "database", "/data", "", "/mnt", 0, NULL },
                { "m", "db", "/data", "shop", "/mnt", 0, NULL },
                { "m", "db", "/data", "c1", "/mnt", 0, NULL },
                { "m", "db", "/gone", "", "/mnt", TTRPC_NOT_FOUND, "shared mount 'm': gone" },
                { "m", "nobody", "/data", "", "/mnt", TTRPC_NOT_FOUND, "'m': there is no container 'nobody'" },
                { "m", "c1", "/data", "", "/mnt", TTRPC_NOT_FOUND, "there is no container 'c1'" },
                { "", "db", "/data", "", "/mnt", TTRPC_INVALID_ARGUMENT, "missing or long name" },
                { "m", "", "/data", "", "/mnt", TTRPC_INVALID_ARGUMENT, "src_ctr" },
                { "m", "a:/b", "/data", "", "/mnt", TTRPC_INVALID_ARGUMENT, "src_ctr 'a:/b'" },
                { "m", "db", "data", "", "/mnt", TTRPC_INVALID_ARGUMENT, "src_path 'data'" },
                { "m", "db", "/data/../etc", "", "/mnt", TTRPC_INVALID_ARGUMENT, "src_path" },
                { "m", "db", "/data", "", "/", TTRPC_INVALID_ARGUMENT, "dst_path '/'" },
                { "m", "db", "/data", "", "/proc/x", TTRPC_PERMISSION_DENIED, "'/proc/x'" },
                { "m", "db", "/data", "other", "/mnt", TTRPC_INVALID_ARGUMENT, "is for container 'other'" },
        };
        Grpc__CreateContainerRequest q;
        Grpc__Process process;
        Grpc__Spec spec;
        char *args[1];
        Host host;

        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        fill_create(&q, &spec, &process, args, "run");
        q.container_id = (char *) (uintptr_t) "db";
        spec.annotations = annotations;
        spec.n_annotations = 1;
        annotation.key = (char *) (uintptr_t) "io.kubernetes.cri.container-name";
        annotation.value = (char *) (uintptr_t) "database";
        q.string_user = &user;
        user.uid = (char *) (uintptr_t) "somebody";
        ASSERT_EQ(call_slowly(&host, AGENT_SERVICE, "CreateContainer", &q.base), 0);

        q.container_id = container_name;
        annotation.key = (char *) (uintptr_t) "io.kubernetes.cri-o.ContainerName";
        annotation.value = (char *) (uintptr_t) "shop";
        q.shared_mounts = list;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                q.n_shared_mounts = 2;
                shared[0] = (Grpc__SharedMount) GRPC__SHARED_MOUNT__INIT;
                shared[0].name = (char *) (uintptr_t) cases[i].name;
                shared[0].src_ctr = (char *) (uintptr_t) cases[i].source;
                shared[0].src_path = (char *) (uintptr_t) cases[i].source_path;
                shared[0].dst_ctr = (char *) (uintptr_t) cases[i].target;
                shared[0].dst_path = (char *) (uintptr_t) cases[i].target_path;
                shared[1] = shared[0];
                ASSERT_EQ(call_slowly(&host, AGENT_SERVICE, "CreateContainer", &q.base), cases[i].code);
                if (cases[i].code == 0)
                        remove_by_id(&host, container_name);
                else
                        ASSERT_CONTAINS(reply_text, cases[i].text);
                ASSERT_EQ(sandbox_n_containers(host.agent.sandbox), 1);
        }
        q.n_shared_mounts = 0;
        remove_by_id(&host, "db");
        host_stop(&host);
}

TEST(failures_are_named)
{
        Grpc__CreateContainerRequest q;
        Grpc__CreateSandboxRequest sandbox = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT, *modules[] = { &module };
        Grpc__Process process;
        Grpc__Spec spec;
        char *args[1];
        Host host;

        host_start(&host);
        /* One that no machine has, whatever its kernel. */
        module.name = (char *) (uintptr_t) "kata_test_none";
        sandbox.kernel_modules = modules;
        sandbox.n_kernel_modules = 1;
        ASSERT_EQ(call(&host, "CreateSandbox", &sandbox.base), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(reply_text, "kernel module kata_test_none: ");
        module.name = (char *) (uintptr_t) "../x";
        ASSERT_EQ(call(&host, "CreateSandbox", &sandbox.base), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(create_sandbox(&host), 0);

        ASSERT_EQ(create_container(&host, "refused", 0, 0), TTRPC_UNIMPLEMENTED);
        ASSERT_STREQ(reply_text, "frobnication is not supported");
        ASSERT_EQ(create_container(&host, "missing", 0, 0), 0);
        ASSERT_EQ(start_container(&host), TTRPC_NOT_FOUND);
        ASSERT_STREQ(reply_text, "missing: not found");
        ASSERT_EQ(take_answer(&host, send_wait(&host)), 0);
        ASSERT_EQ(remove_container(&host), 0);

        fill_create(&q, &spec, &process, args, "run");
        q.container_id = (char *) (uintptr_t) "../x";
        ASSERT_EQ(call(&host, "CreateContainer", &q.base), TTRPC_INVALID_ARGUMENT);
        q.container_id = container_name;
        q.oci = NULL;
        ASSERT_EQ(call(&host, "CreateContainer", &q.base), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(call(&host, "NoSuchMethod", &sandbox.base), TTRPC_UNIMPLEMENTED);
        ASSERT_CONTAINS(reply_text, "'NoSuchMethod'");
        ASSERT_EQ(sandbox_n_containers(host.agent.sandbox), 0);
        host_stop(&host);
}

TEST(host_gone_while_creating)
{
        Grpc__CreateContainerRequest q;
        Grpc__Process process;
        Grpc__Spec spec;
        char *args[1];
        Host host;

        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        fill_create(&q, &spec, &process, args, "run");
        q.stdout_port = 7099;
        ASSERT_EQ(call(&host, "CreateContainer", &q.base), -1);
        ASSERT_EQ(sandbox_n_containers(host.agent.sandbox), 1);
        /* The stream never comes, the connection goes: nothing is left of the attempt. */
        host.rpc = safe_close(host.rpc);
        run(&host, 5);
        ASSERT_EQ(sandbox_n_containers(host.agent.sandbox), 0);
        host_stop(&host);
}

TEST(destroy_ends_the_loop)
{
        Grpc__DestroySandboxRequest q = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
        uint32_t wait, destroy;
        Host host;

        host_start(&host);
        ASSERT_EQ(create_sandbox(&host), 0);
        ASSERT_EQ(create_container(&host, "run", 0, 0), 0);
        ASSERT_EQ(start_container(&host), 0);
        wait = send_wait(&host);
        destroy = send_call(&host, AGENT_SERVICE, "DestroySandbox", &q.base);
        ASSERT_EQ(loop_run(host.loop), 0);
        ASSERT_EQ(take_answer(&host, wait), 0);
        ASSERT_EQ(take_answer(&host, destroy), 0);
        ASSERT_NULL(fake_last);
        host_stop(&host);
}

/* Serial transport. */

typedef struct Serial {
        int guest_fd;           /* handed out by the next open */
        unsigned opens;
        MuxPump *pump;
        int notify_fd, stream_fd;
        uint32_t stream_id;
        unsigned ended;
} Serial;

static int open_port(const char *name, void *userdata)
{
        Serial *serial = userdata;

        ASSERT_STREQ(name, "agent.channel.0");
        if (serial->guest_fd < 0)
                return -ENOENT;
        serial->opens++;
        return TAKE_FD(serial->guest_fd);
}

static void pump_ready(MuxPump *pump, void *userdata)
{
}

static int pump_connect(MuxPump *pump, uint32_t port, uint32_t stream_id, int fd, void *userdata)
{
        Serial *serial = userdata;

        ASSERT_EQ(port, 1029);
        serial->notify_fd = fd;
        return 0;
}

static void pump_error(MuxPump *pump, int error, const char *message, void *userdata)
{
        Serial *serial = userdata;

        serial->ended++;
}

static void pump_opened(MuxPump *pump, int error, int fd, uint32_t stream_id, void *userdata)
{
        Serial *serial = userdata;

        ASSERT_OK(error);
        serial->stream_fd = fd;
        serial->stream_id = stream_id;
}

static void serial_plug(Serial *serial)
{
        MuxPumpCallbacks callbacks = {
                .on_ready = pump_ready, .on_connect = pump_connect, .on_error = pump_error,
        };
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        serial->guest_fd = pair[1];
        serial->notify_fd = serial->stream_fd = -EBADF;
        ASSERT_OK(mux_pump_new(&serial->pump, MUX_CLIENT, pair[0], &callbacks, serial));
}

static void serial_run(Host *host, Serial *serial)
{
        for (unsigned i = 0; i < 60; i++) {
                ASSERT_OK(loop_run_once(host->loop, 1));
                (void) mux_pump_dispatch(serial->pump);
        }
}

static int serial_open(Host *host, Serial *serial, uint32_t port)
{
        ASSERT_OK(mux_pump_open(serial->pump, port, pump_opened, serial));
        serial_run(host, serial);
        ASSERT_TRUE(serial->stream_fd >= 0);
        return TAKE_FD(serial->stream_fd);
}

TEST(serial_sessions)
{
        Serial serial = { .guest_fd = -EBADF };
        TransportHandlers handlers;
        Transport *transport;
        char buf[4096] = {};
        Host host = { .next_id = 1 };
        int log, out;

        ASSERT_OK(loop_new(&host.loop));
        ASSERT_OK(agent_init(&host.agent, host.loop, &cmdline));
        handlers = agent_transport_handlers(&host.agent);
        ASSERT_OK(transport_serial_new_with(&transport, host.loop, "agent.channel.0", 1029, open_port,
                                            &serial, &handlers));
        ASSERT_OK(agent_start(&host.agent, transport, NULL));
        /* The port is not there yet. */
        run(&host, 5);
        ASSERT_EQ(serial.opens, 0);

        serial_plug(&serial);
        serial_run(&host, &serial);
        ASSERT_EQ(serial.opens, 1);
        ASSERT_TRUE(recv(serial.notify_fd, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
        ASSERT_CONTAINS(buf, "READY=1\n");
        ASSERT_EQ(recv(serial.notify_fd, buf, sizeof(buf), MSG_DONTWAIT), 0);
        safe_close(serial.notify_fd);

        host.rpc = serial_open(&host, &serial, 1024);
        {
                Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
                uint32_t id = send_call(&host, AGENT_SERVICE, "CreateSandbox", &q.base);

                serial_run(&host, &serial);
                ASSERT_EQ(take_answer(&host, id), 0);
        }
        out = serial_open(&host, &serial, 1027);
        {
                Grpc__CreateContainerRequest q;
                Grpc__Process process;
                Grpc__Spec spec;
                char *args[1];
                uint32_t id;

                fill_create(&q, &spec, &process, args, "run");
                q.stdout_port = serial.stream_id;
                id = send_call(&host, AGENT_SERVICE, "CreateContainer", &q.base);
                serial_run(&host, &serial);
                ASSERT_EQ(take_answer(&host, id), 0);
        }
        log = serial_open(&host, &serial, 1025);
        serial_run(&host, &serial);
        memset(buf, 0, sizeof(buf));
        ASSERT_TRUE(recv(log, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
        ASSERT_CONTAINS(buf, "ready on serial");

        /* The host dies and comes back: the sandbox is still there, readiness is told again. */
        serial.pump = mux_pump_free(serial.pump);
        run(&host, 10);
        safe_close(log);
        safe_close(out);
        safe_close(host.rpc);
        serial_plug(&serial);
        serial_run(&host, &serial);
        ASSERT_EQ(serial.opens, 2);
        memset(buf, 0, sizeof(buf));
        ASSERT_TRUE(recv(serial.notify_fd, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
        ASSERT_CONTAINS(buf, "READY=1\n");
        ASSERT_EQ(sandbox_n_containers(host.agent.sandbox), 1);
        safe_close(serial.notify_fd);
        mux_pump_free(serial.pump);
        agent_done(&host.agent);
        fake_forget();
        loop_free(host.loop);
}

/* SetPolicy as its bytes stand on the wire (agent.proto: SetPolicyRequest, 1 policy), then what it does. */
TEST(policy)
{
        static const uint8_t request[] = {
                0, 0, 0, 84, 0, 0, 0, 3, TTRPC_REQUEST, 0,
                0x0a, 17, 'g', 'r', 'p', 'c', '.', 'A', 'g', 'e', 'n', 't', 'S', 'e', 'r', 'v', 'i', 'c', 'e',
                0x12, 9, 'S', 'e', 't', 'P', 'o', 'l', 'i', 'c', 'y',
                0x1a, 52, 0x0a, 50,
                '[', 'P', 'o', 'l', 'i', 'c', 'y', ']', '\n',
                'A', 'l', 'l', 'o', 'w', '=', 'C', 'r', 'e', 'a', 't', 'e', '*', ' ', 'R', 'e', 'a', 'd', 'S', 't',
                'd', 'e', 'r', 'r', '\n',
                'E', 'n', 'v', 'i', 'r', 'o', 'n', 'm', 'e', 'n', 't', '=', 'A', '=', '*', '\n',
        };
        Grpc__SetPolicyRequest q = GRPC__SET_POLICY_REQUEST__INIT;
        Host host;

        host_start(&host);
        q.policy = (char *) (uintptr_t) "package agent_policy";
        ASSERT_EQ(call(&host, "SetPolicy", &q.base), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "Rego is not understood");

        ASSERT_EQ(send(host.rpc, request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
        ASSERT_EQ(take_answer(&host, 3), 0);
        host.next_id = 5;
        ASSERT_EQ(reply_size, 0);

        ASSERT_EQ(create_sandbox(&host), 0);
        ASSERT_EQ(create_container(&host, "true", 0, 0), 0);
        ASSERT_EQ(start_container(&host), TTRPC_PERMISSION_DENIED);
        ASSERT_CONTAINS(reply_text, "'StartContainer'");
        q.policy = (char *) (uintptr_t) "[Policy]\nAllow=*\n";
        ASSERT_EQ(call(&host, "SetPolicy", &q.base), TTRPC_PERMISSION_DENIED);
        host_stop(&host);
}

/* Requests that name them do not wait for one turn of the loop each. */
TEST(streams_come_together)
{
        int fds[40];
        unsigned before;
        Host host;

        host_start(&host);
        run(&host, 5);
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = host_connect(&host, 1027, 7200 + i);
        before = count_entries("/proc/self/fd");
        run(&host, 1);
        ASSERT_EQ(count_entries("/proc/self/fd"), before + ELEMENTSOF(fds));
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++)
                safe_close(fds[i]);
        host_stop(&host);
}

DEFINE_TEST_MAIN
