/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of methods against the published protocol (agent.proto and health.proto of Kata Containers 3.32 to
 * 4.1, written down here by hand), and what of it is refused on a machine of somebody else.
 */

#include "agent/host-guard.h"
#include "agent/services.h"
#include "basic/test.h"

#define AGENT "grpc.AgentService"
#define HEALTH "grpc.Health"
#define EXTENSION "kata.systemd.v1.AgentExtension"

/* On a machine that is not the agent's own. */
typedef enum OnHost {
        ALLOWED,
        NEEDS_ROOT,             /* refused to an agent without namespaces of its own */
        REFUSED,
} OnHost;

static const struct {
        const char *service, *name, *input;
        OnHost on_host;
} published[] = {
        { HEALTH, "Check", "grpc.CheckRequest", ALLOWED },
        { HEALTH, "Version", "grpc.CheckRequest", ALLOWED },

        { AGENT, "CreateContainer", "grpc.CreateContainerRequest", ALLOWED },
        { AGENT, "StartContainer", "grpc.StartContainerRequest", ALLOWED },
        { AGENT, "RemoveContainer", "grpc.RemoveContainerRequest", ALLOWED },
        { AGENT, "ExecProcess", "grpc.ExecProcessRequest", ALLOWED },
        { AGENT, "SignalProcess", "grpc.SignalProcessRequest", ALLOWED },
        { AGENT, "WaitProcess", "grpc.WaitProcessRequest", ALLOWED },
        { AGENT, "UpdateContainer", "grpc.UpdateContainerRequest", ALLOWED },
        { AGENT, "UpdateEphemeralMounts", "grpc.UpdateEphemeralMountsRequest", NEEDS_ROOT },
        { AGENT, "StatsContainer", "grpc.StatsContainerRequest", ALLOWED },
        { AGENT, "PauseContainer", "grpc.PauseContainerRequest", ALLOWED },
        { AGENT, "ResumeContainer", "grpc.ResumeContainerRequest", ALLOWED },
        { AGENT, "RemoveStaleVirtiofsShareMounts", "grpc.RemoveStaleVirtiofsShareMountsRequest", ALLOWED },
        { AGENT, "GetDiagnosticData", "grpc.GetDiagnosticDataRequest", ALLOWED },
        { AGENT, "WriteStdin", "grpc.WriteStreamRequest", ALLOWED },
        { AGENT, "ReadStdout", "grpc.ReadStreamRequest", ALLOWED },
        { AGENT, "ReadStderr", "grpc.ReadStreamRequest", ALLOWED },
        { AGENT, "CloseStdin", "grpc.CloseStdinRequest", ALLOWED },
        { AGENT, "TtyWinResize", "grpc.TtyWinResizeRequest", ALLOWED },
        { AGENT, "UpdateInterface", "grpc.UpdateInterfaceRequest", NEEDS_ROOT },
        { AGENT, "UpdateRoutes", "grpc.UpdateRoutesRequest", NEEDS_ROOT },
        { AGENT, "ListInterfaces", "grpc.ListInterfacesRequest", ALLOWED },
        { AGENT, "ListRoutes", "grpc.ListRoutesRequest", ALLOWED },
        { AGENT, "AddARPNeighbors", "grpc.AddARPNeighborsRequest", NEEDS_ROOT },
        { AGENT, "GetIPTables", "grpc.GetIPTablesRequest", ALLOWED },
        { AGENT, "SetIPTables", "grpc.SetIPTablesRequest", NEEDS_ROOT },
        { AGENT, "GetMetrics", "grpc.GetMetricsRequest", ALLOWED },
        { AGENT, "MemAgentMemcgSet", "grpc.MemAgentMemcgConfig", ALLOWED },
        { AGENT, "MemAgentCompactSet", "grpc.MemAgentCompactConfig", ALLOWED },
        { AGENT, "CreateSandbox", "grpc.CreateSandboxRequest", ALLOWED },
        { AGENT, "DestroySandbox", "grpc.DestroySandboxRequest", ALLOWED },
        { AGENT, "OnlineCPUMem", "grpc.OnlineCPUMemRequest", REFUSED },
        { AGENT, "ReseedRandomDev", "grpc.ReseedRandomDevRequest", REFUSED },
        { AGENT, "GetGuestDetails", "grpc.GuestDetailsRequest", ALLOWED },
        { AGENT, "MemHotplugByProbe", "grpc.MemHotplugByProbeRequest", REFUSED },
        { AGENT, "SetGuestDateTime", "grpc.SetGuestDateTimeRequest", REFUSED },
        { AGENT, "CopyFile", "grpc.CopyFileRequest", NEEDS_ROOT },
        { AGENT, "GetOOMEvent", "grpc.GetOOMEventRequest", ALLOWED },
        { AGENT, "AddSwap", "grpc.AddSwapRequest", REFUSED },
        { AGENT, "AddSwapPath", "grpc.AddSwapPathRequest", REFUSED },
        { AGENT, "GetVolumeStats", "grpc.VolumeStatsRequest", ALLOWED },
        { AGENT, "ResizeVolume", "grpc.ResizeVolumeRequest", ALLOWED },
        { AGENT, "SetPolicy", "grpc.SetPolicyRequest", ALLOWED },

        { EXTENSION, "AttachStdio", "kata.systemd.v1.AttachStdioRequest", ALLOWED },
        { EXTENSION, "CreateContainer", "kata.systemd.v1.CreateContainerRequest", ALLOWED },
        { EXTENSION, "ExecProcess", "kata.systemd.v1.ExecProcessRequest", ALLOWED },
        { EXTENSION, "UpdateContainer", "kata.systemd.v1.UpdateContainerRequest", ALLOWED },
        { EXTENSION, "ListContainers", "kata.systemd.v1.ListContainersRequest", ALLOWED },
        { EXTENSION, "SetInterfaceAddress", "kata.systemd.v1.SetInterfaceAddressRequest", NEEDS_ROOT },
};

static const Method *find(const char *service, const char *name)
{
        const Method *methods, *found = NULL;
        size_t n;

        methods = agent_methods(&n);
        for (size_t i = 0; i < n; i++)
                if (streq(methods[i].service, service) && streq(methods[i].name, name)) {
                        /* Once. */
                        ASSERT_NULL(found);
                        found = &methods[i];
                }

        return found;
}

TEST(all_methods_are_there)
{
        size_t n, n_agent = 0, n_health = 0;

        (void) agent_methods(&n);
        ASSERT_EQ(n, ELEMENTSOF(published));
        for (size_t i = 0; i < ELEMENTSOF(published); i++) {
                const Method *method = find(published[i].service, published[i].name);

                if (!method)
                        TEST_FAIL("%s.%s is missing", published[i].service, published[i].name);
                ASSERT_STREQ(method->input->name, published[i].input);
                ASSERT_NOT_NULL(method->handler);
                n_agent += streq(method->service, AGENT);
                n_health += streq(method->service, HEALTH);
        }
        ASSERT_EQ(n_agent, 42);
        ASSERT_EQ(n_health, 2);
}

static const SandboxPlace own = { .cgroup_root = "" };
static const SandboxPlace as_root = { .cgroup_root = "", .on_host = true };
static const SandboxPlace as_user = { .cgroup_root = "", .on_host = true, .unprivileged = true };

static void check_guard(const SandboxPlace *place, const char *method, const void *input, bool refused)
{
        _cleanup_free_ char *message = NULL;
        int r = host_guard(place, method, input, &message);

        if (r != (refused ? -EBUSY : 0))
                TEST_FAIL("%s: %d, %s", method, r, strempty(message));
        if (refused) {
                ASSERT_TRUE(startswith(message, method));
                ASSERT_CONTAINS(message, "of a machine that is not this agent's own");
        }
}

TEST(on_a_host)
{
        static const Grpc__CreateSandboxRequest sandbox = GRPC__CREATE_SANDBOX_REQUEST__INIT;

        for (size_t i = 0; i < ELEMENTSOF(published); i++) {
                const char *name = published[i].name;
                OnHost on_host = published[i].on_host;
                /* Of other messages nothing is looked at. */
                const void *input = streq(name, "CreateSandbox") ? &sandbox : NULL;

                check_guard(&own, name, input, false);
                check_guard(&as_root, name, input, on_host == REFUSED);
                check_guard(&as_user, name, input, on_host != ALLOWED);
        }
}

TEST(on_a_host_what_is_not_known_is_refused)
{
        _cleanup_free_ char *message = NULL;

        ASSERT_OK(host_guard(&own, "Reboot", NULL, NULL));
        ASSERT_ERROR(host_guard(&as_root, "Reboot", NULL, &message), EBUSY);
        ASSERT_CONTAINS(message, "Reboot is not for a machine that is not this agent's own");
}

TEST(sandboxes_on_a_host)
{
        Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT, *modules[] = { &module };
        Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        char *lines[] = { (char *) "nameserver 192.0.2.1" };

        q.kernel_modules = modules;
        q.n_kernel_modules = 1;
        check_guard(&own, "CreateSandbox", &q, false);
        check_guard(&as_root, "CreateSandbox", &q, true);
        check_guard(&as_user, "CreateSandbox", &q, true);

        for (unsigned i = 0; i < 3; i++) {
                q = (Grpc__CreateSandboxRequest) GRPC__CREATE_SANDBOX_REQUEST__INIT;
                if (i == 0)
                        q.hostname = (char *) "pod";
                q.dns = lines;
                q.n_dns = i == 1;
                q.storages = storages;
                q.n_storages = i == 2;
                check_guard(&own, "CreateSandbox", &q, false);
                check_guard(&as_root, "CreateSandbox", &q, false);
                check_guard(&as_user, "CreateSandbox", &q, true);
        }

        /* What these take is not in any namespace. */
        storage.driver = (char *) "scsi";
        check_guard(&own, "CreateSandbox", &q, false);
        check_guard(&as_root, "CreateSandbox", &q, true);
        storage.driver = (char *) "ephemeral";
        check_guard(&as_root, "CreateSandbox", &q, false);
        storage.fstype = (char *) "hugetlbfs";
        check_guard(&as_root, "CreateSandbox", &q, true);
}

TEST(containers_on_a_host)
{
        Kata__Systemd__V1__CreateContainerRequest extended = KATA__SYSTEMD__V1__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
        Grpc__Device device = GRPC__DEVICE__INIT, *devices[] = { &device };

        check_guard(&as_root, "CreateContainer", &extended, false);
        extended.request = &q;
        device.type = (char *) "blk";
        q.devices = devices;
        q.n_devices = 1;
        q.storages = storages;
        q.n_storages = 1;
        check_guard(&as_root, "CreateContainer", &q, false);
        check_guard(&as_root, "CreateContainer", &extended, false);
        device.type = (char *) "scsi";
        check_guard(&own, "CreateContainer", &q, false);
        check_guard(&as_root, "CreateContainer", &q, true);
        check_guard(&as_root, "CreateContainer", &extended, true);
        device.type = (char *) "blk";
        storage.fstype = (char *) "hugetlbfs";
        check_guard(&as_root, "CreateContainer", &extended, true);
}

DEFINE_TEST_MAIN
