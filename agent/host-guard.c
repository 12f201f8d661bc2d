/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are not for the machine of somebody else: see host-guard.h. Looks at the host's words only. */

#include "agent/host-guard.h"

#include "basic/error.h"
#include "proto/extension.pb-c.h"

typedef enum Reach {
        REACH_SANDBOX,          /* reads, or changes only what the agent has made */
        REACH_NETWORK,
        REACH_MOUNTS,
        REACH_MACHINE,          /* there is no namespace for it */
} Reach;

static const struct {
        const char *method;
        Reach reach;
        const char *what;       /* would be changed */
} table[] = {
        { "Check", REACH_SANDBOX, NULL },
        { "Version", REACH_SANDBOX, NULL },

        { "GetGuestDetails", REACH_SANDBOX, NULL },
        { "SetGuestDateTime", REACH_MACHINE, "the clock" },
        { "ReseedRandomDev", REACH_MACHINE, "the random number generator" },
        { "OnlineCPUMem", REACH_MACHINE, "processors and memory" },
        { "MemHotplugByProbe", REACH_MACHINE, "the memory" },
        { "AddSwap", REACH_MACHINE, "the swap space" },
        { "AddSwapPath", REACH_MACHINE, "the swap space" },
        { "GetMetrics", REACH_SANDBOX, NULL },
        { "MemAgentMemcgSet", REACH_SANDBOX, NULL },
        { "MemAgentCompactSet", REACH_SANDBOX, NULL },
        { "SetPolicy", REACH_SANDBOX, NULL },

        { "UpdateInterface", REACH_NETWORK, "the network" },
        { "UpdateRoutes", REACH_NETWORK, "the network" },
        { "AddARPNeighbors", REACH_NETWORK, "the network" },
        { "SetInterfaceAddress", REACH_NETWORK, "the network" },
        { "SetIPTables", REACH_NETWORK, "the packet filter" },
        { "ListInterfaces", REACH_SANDBOX, NULL },
        { "ListRoutes", REACH_SANDBOX, NULL },
        { "GetIPTables", REACH_SANDBOX, NULL },

        { "CopyFile", REACH_MOUNTS, "files below " STORAGE_ROOT },
        { "UpdateEphemeralMounts", REACH_MOUNTS, "mounts" },
        { "GetVolumeStats", REACH_SANDBOX, NULL },
        { "ResizeVolume", REACH_SANDBOX, NULL },
        { "RemoveStaleVirtiofsShareMounts", REACH_SANDBOX, NULL },
        { "GetDiagnosticData", REACH_SANDBOX, NULL },

        /* Some of its fields reach further, see check_sandbox(). */
        { "CreateSandbox", REACH_SANDBOX, NULL },
        /* Ends the agent, which is all that there is of the sandbox. */
        { "DestroySandbox", REACH_SANDBOX, NULL },

        /* In cgroups below the agent's own, and with the namespaces that the agent has; but see check_container(). */
        { "CreateContainer", REACH_SANDBOX, NULL },
        { "StartContainer", REACH_SANDBOX, NULL },
        { "RemoveContainer", REACH_SANDBOX, NULL },
        { "ExecProcess", REACH_SANDBOX, NULL },
        { "SignalProcess", REACH_SANDBOX, NULL },
        { "WaitProcess", REACH_SANDBOX, NULL },
        { "UpdateContainer", REACH_SANDBOX, NULL },
        { "PauseContainer", REACH_SANDBOX, NULL },
        { "ResumeContainer", REACH_SANDBOX, NULL },
        { "StatsContainer", REACH_SANDBOX, NULL },
        { "GetOOMEvent", REACH_SANDBOX, NULL },
        { "WriteStdin", REACH_SANDBOX, NULL },
        { "ReadStdout", REACH_SANDBOX, NULL },
        { "ReadStderr", REACH_SANDBOX, NULL },
        { "CloseStdin", REACH_SANDBOX, NULL },
        { "TtyWinResize", REACH_SANDBOX, NULL },
        { "AttachStdio", REACH_SANDBOX, NULL },
        { "ListContainers", REACH_SANDBOX, NULL },
};

static int refuse(const char *method, const char *what, Reach reach, char **reterr_message)
{
        return error_setf(reterr_message, -EBUSY, "%s would change %s of a machine that is not this agent's own"
                          "%s", method, what, reach == REACH_MACHINE ? "" :
                          ": without root it has no namespaces to keep it from there");
}

/* What some of them take is the machine's, whatever namespaces there are. */
static int check_storages(const char *method, Grpc__Storage *const *storages, size_t n, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                if (streq(storages[i]->driver, "scsi"))
                        return refuse(method, "the SCSI disks", REACH_MACHINE, reterr_message);
                if (streq(storages[i]->fstype, "hugetlbfs"))
                        return refuse(method, "the huge pages", REACH_MACHINE, reterr_message);
        }
        return 0;
}

static int check_container(const void *input, char **reterr_message)
{
        static const char method[] = "CreateContainer";
        const ProtobufCMessage *message = input;
        const Grpc__CreateContainerRequest *q = input;

        if (message && message->descriptor == &kata__systemd__v1__create_container_request__descriptor)
                q = ((const Kata__Systemd__V1__CreateContainerRequest *) input)->request;
        if (!q)
                return 0;
        for (size_t i = 0; i < q->n_devices; i++)
                if (streq(q->devices[i]->type, "scsi"))
                        return refuse(method, "the SCSI disks", REACH_MACHINE, reterr_message);
        return check_storages(method, q->storages, q->n_storages, reterr_message);
}

static int check_sandbox(const SandboxPlace *place, const Grpc__CreateSandboxRequest *input,
                         char **reterr_message)
{
        static const char method[] = "CreateSandbox";

        if (input->n_kernel_modules > 0)
                return refuse(method, "kernel modules", REACH_MACHINE, reterr_message);
        if (!place->unprivileged)
                return check_storages(method, input->storages, input->n_storages, reterr_message);
        if (*input->hostname)
                return refuse(method, "the host name", REACH_MOUNTS, reterr_message);
        if (input->n_dns > 0)
                return refuse(method, "/etc/resolv.conf", REACH_MOUNTS, reterr_message);
        if (input->n_storages > 0)
                return refuse(method, "mounts", REACH_MOUNTS, reterr_message);
        return 0;
}

int host_guard(const SandboxPlace *place, const char *method, const void *input, char **reterr_message)
{
        size_t i;

        if (!place->on_host)
                return 0;

        for (i = 0; i < ELEMENTSOF(table) && !streq(table[i].method, method); i++)
                ;
        if (i == ELEMENTSOF(table))
                return error_setf(reterr_message, -EBUSY, "%s is not for a machine that is not this agent's own",
                                  method);

        if (table[i].reach == REACH_MACHINE || (table[i].reach != REACH_SANDBOX && place->unprivileged))
                return refuse(method, table[i].what, table[i].reach, reterr_message);
        if (streq(method, "CreateContainer"))
                return check_container(input, reterr_message);
        return streq(method, "CreateSandbox") ? check_sandbox(place, input, reterr_message) : 0;
}
