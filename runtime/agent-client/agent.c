/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the Kata agent protocol: see agent.h. Host side; builds requests only. */

#include "runtime/agent-client/agent.h"

#include "basic/error.h"
#include "basic/kernel-module.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "proto/empty.pb-c.h"
#include "proto/health.pb-c.h"

#define SERVICE_AGENT "grpc.AgentService"
#define SERVICE_HEALTH "grpc.Health"
#define SERVICE_EXTENSION "kata.systemd.v1.AgentExtension"

/* protobuf-c messages carry plain char pointers; packing does not write through them. */
#define UNCONST(s) ((char *) (uintptr_t) (s))

static int call_agent(TtrpcClient *c, const char *method, const ProtobufCMessage *request,
                      usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        return ttrpc_client_call(c, SERVICE_AGENT, method, request,
                                 &google__protobuf__empty__descriptor, timeout, handler, userdata);
}

static int call_extension(TtrpcClient *c, const char *method, const ProtobufCMessage *request,
                          const ProtobufCMessageDescriptor *reply, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata)
{
        return ttrpc_client_call(c, SERVICE_EXTENSION, method, request, reply, timeout, handler, userdata);
}

/* On the wire an empty one has no bytes. */
static bool is_empty(const AgentExtension *extension)
{
        return !extension || protobuf_c_message_get_packed_size(&extension->base) == 0;
}

int agent_explain_extension(int error, const char *text, const char *property, char **reterr_message)
{
        /*
         * ttrpc servers name the service that they do not have: ours and Go's with the code "unimplemented", Rust's,
         * which upstream's agent has, with "invalid argument".
         */
        if ((error != -EOPNOTSUPP && error != -EINVAL) || !property || !strstr(strempty(text), SERVICE_EXTENSION))
                return error;

        return error_setf(reterr_message, -EOPNOTSUPP, "%s needs an agent with the service %s, and the guest's has "
                          "not, or an older one", property, SERVICE_EXTENSION);
}

int agent_check(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;

        return ttrpc_client_call(c, SERVICE_HEALTH, "Check", &q.base,
                                 &grpc__health_check_response__descriptor, timeout, handler, userdata);
}

int agent_version(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;

        return ttrpc_client_call(c, SERVICE_HEALTH, "Version", &q.base,
                                 &grpc__version_check_response__descriptor, timeout, handler, userdata);
}

int agent_set_policy(TtrpcClient *c, const char *policy, usec_t timeout, TtrpcReplyHandler handler,
                     void *userdata)
{
        Grpc__SetPolicyRequest q = GRPC__SET_POLICY_REQUEST__INIT;

        q.policy = UNCONST(policy);
        return call_agent(c, "SetPolicy", &q.base, timeout, handler, userdata);
}

typedef struct ModuleMessages {
        Strv lines, words[KERNEL_MODULES_MAX];
        Grpc__KernelModule v[KERNEL_MODULES_MAX], *list[KERNEL_MODULES_MAX];
} ModuleMessages;

static void module_messages_freep(ModuleMessages **m)
{
        if (!*m)
                return;
        for (size_t i = 0; i < (*m)->lines.n; i++)
                strv_done(&(*m)->words[i]);
        strv_done(&(*m)->lines);
        free(*m);
}

static int make_modules(const char *text, ModuleMessages *m)
{
        int r = kernel_modules_split(text, &m->lines);

        for (size_t i = 0; r >= 0 && i < m->lines.n; i++) {
                char *rest = m->lines.v[i], *word;

                while (r >= 0 && (word = strsep(&rest, " ")))
                        r = strv_add(&m->words[i], word);
                if (r < 0)
                        break;
                m->v[i] = (Grpc__KernelModule) GRPC__KERNEL_MODULE__INIT;
                m->v[i].name = m->words[i].v[0];
                m->v[i].parameters = m->words[i].v + 1;
                m->v[i].n_parameters = m->words[i].n - 1;
                m->list[i] = &m->v[i];
        }
        return r;
}

int agent_create_sandbox(TtrpcClient *c, const char *sandbox_id, const char *hostname, bool share,
                         const char *kernel_modules, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        _cleanup_(module_messages_freep) ModuleMessages *modules = NULL;
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__Storage storage = GRPC__STORAGE__INIT;
        Grpc__Storage *storages[] = { &storage };

        storage.driver = UNCONST("virtio-fs");
        storage.source = UNCONST(AGENT_SHARE_TAG);
        storage.fstype = UNCONST("virtiofs");
        storage.mount_point = UNCONST(AGENT_SHARE_MOUNT_POINT);

        q.sandbox_id = UNCONST(sandbox_id);
        q.hostname = UNCONST(hostname);
        if (share) {
                q.storages = storages;
                q.n_storages = ELEMENTSOF(storages);
        }
        if (!isempty(kernel_modules)) {
                int r;

                modules = new0(ModuleMessages, 1);
                r = modules ? make_modules(kernel_modules, modules) : -ENOMEM;
                if (r < 0)
                        return r;
                q.kernel_modules = modules->list;
                q.n_kernel_modules = modules->lines.n;
        }

        return call_agent(c, "CreateSandbox", &q.base, timeout, handler, userdata);
}

int agent_update_interface(TtrpcClient *c, Types__Interface *interface, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata)
{
        Grpc__UpdateInterfaceRequest q = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

        q.interface = interface;
        return ttrpc_client_call(c, SERVICE_AGENT, "UpdateInterface", &q.base, &types__interface__descriptor, timeout,
                                 handler, userdata);
}

int agent_update_routes(TtrpcClient *c, Grpc__Routes *routes, usec_t timeout, TtrpcReplyHandler handler,
                        void *userdata)
{
        Grpc__UpdateRoutesRequest q = GRPC__UPDATE_ROUTES_REQUEST__INIT;

        q.routes = routes;
        return ttrpc_client_call(c, SERVICE_AGENT, "UpdateRoutes", &q.base, &grpc__routes__descriptor, timeout,
                                 handler, userdata);
}

int agent_add_neighbors(TtrpcClient *c, Grpc__ARPNeighbors *neighbors, usec_t timeout, TtrpcReplyHandler handler,
                        void *userdata)
{
        Grpc__AddARPNeighborsRequest q = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;

        q.neighbors = neighbors;
        return call_agent(c, "AddARPNeighbors", &q.base, timeout, handler, userdata);
}

int agent_get_iptables(TtrpcClient *c, bool ipv6, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__GetIPTablesRequest q = GRPC__GET_IPTABLES_REQUEST__INIT;

        q.is_ipv6 = ipv6;
        return ttrpc_client_call(c, SERVICE_AGENT, "GetIPTables", &q.base, &grpc__get_iptables_response__descriptor,
                                 timeout, handler, userdata);
}

int agent_set_iptables(TtrpcClient *c, bool ipv6, const uint8_t *rules, size_t n, usec_t timeout,
                       TtrpcReplyHandler handler, void *userdata)
{
        Grpc__SetIPTablesRequest q = GRPC__SET_IPTABLES_REQUEST__INIT;

        q.is_ipv6 = ipv6;
        q.data.data = (uint8_t *) (uintptr_t) rules;
        q.data.len = n;
        return ttrpc_client_call(c, SERVICE_AGENT, "SetIPTables", &q.base, &grpc__set_iptables_response__descriptor,
                                 timeout, handler, userdata);
}

int agent_create_container(TtrpcClient *c, const char *id, Grpc__Spec *spec, AgentExtension *extension,
                           const AgentStdio *stdio, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__CreateContainerRequest extended = KATA__SYSTEMD__V1__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
        AgentExtension of_container = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;

        if (extension)
                of_container = *extension;
        of_container.exec_cpu_affinity = NULL;

        q.container_id = q.exec_id = UNCONST(id);
        q.oci = spec;
        q.stdin_port = stdio->stdin_port;
        q.stdout_port = stdio->stdout_port;
        q.stderr_port = stdio->stderr_port;
        if (is_empty(&of_container))
                return call_agent(c, "CreateContainer", &q.base, timeout, handler, userdata);

        extended.request = &q;
        extended.extension = &of_container;
        return call_extension(c, "CreateContainer", &extended.base,
                              &kata__systemd__v1__create_container_response__descriptor, timeout, handler, userdata);
}

int agent_start_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata)
{
        Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        return call_agent(c, "StartContainer", &q.base, timeout, handler, userdata);
}

int agent_exec_process(TtrpcClient *c, const char *id, const char *exec_id, Grpc__Process *process,
                       AgentExtension *extension, const AgentStdio *stdio, usec_t timeout,
                       TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__ExecProcessRequest extended = KATA__SYSTEMD__V1__EXEC_PROCESS_REQUEST__INIT;
        Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.exec_id = UNCONST(exec_id);
        q.process = process;
        q.stdin_port = stdio->stdin_port;
        q.stdout_port = stdio->stdout_port;
        q.stderr_port = stdio->stderr_port;
        if (is_empty(extension))
                return call_agent(c, "ExecProcess", &q.base, timeout, handler, userdata);

        extended.request = &q;
        extended.extension = extension;
        return call_extension(c, "ExecProcess", &extended.base,
                              &kata__systemd__v1__exec_process_response__descriptor, timeout, handler, userdata);
}

int agent_signal_process(TtrpcClient *c, const char *id, const char *exec_id, int sig, usec_t timeout,
                         TtrpcReplyHandler handler, void *userdata)
{
        Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.exec_id = UNCONST(exec_id ? exec_id : id);
        q.signal = (uint32_t) sig;
        return call_agent(c, "SignalProcess", &q.base, timeout, handler, userdata);
}

int agent_wait_process(TtrpcClient *c, const char *id, const char *exec_id, TtrpcReplyHandler handler,
                       void *userdata)
{
        Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.exec_id = UNCONST(exec_id ? exec_id : id);
        return ttrpc_client_call(c, SERVICE_AGENT, "WaitProcess", &q.base,
                                 &grpc__wait_process_response__descriptor, 0, handler, userdata);
}

int agent_resize(TtrpcClient *c, const char *id, const char *exec_id, uint32_t rows, uint32_t columns,
                 usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.exec_id = UNCONST(exec_id ? exec_id : id);
        q.row = rows;
        q.column = columns;
        return call_agent(c, "TtyWinResize", &q.base, timeout, handler, userdata);
}

int agent_pause_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata)
{
        Grpc__PauseContainerRequest q = GRPC__PAUSE_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        return call_agent(c, "PauseContainer", &q.base, timeout, handler, userdata);
}

int agent_resume_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata)
{
        Grpc__ResumeContainerRequest q = GRPC__RESUME_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        return call_agent(c, "ResumeContainer", &q.base, timeout, handler, userdata);
}

int agent_update_container(TtrpcClient *c, const char *id, Grpc__LinuxResources *resources, AgentExtension *extension,
                           usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__UpdateContainerRequest extended = KATA__SYSTEMD__V1__UPDATE_CONTAINER_REQUEST__INIT;
        Grpc__UpdateContainerRequest q = GRPC__UPDATE_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.resources = resources;
        if (is_empty(extension))
                return call_agent(c, "UpdateContainer", &q.base, timeout, handler, userdata);

        extended.request = &q;
        extended.extension = extension;
        return call_extension(c, "UpdateContainer", &extended.base,
                              &kata__systemd__v1__update_container_response__descriptor, timeout, handler, userdata);
}

int agent_stats_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata)
{
        Grpc__StatsContainerRequest q = GRPC__STATS_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        return ttrpc_client_call(c, SERVICE_AGENT, "StatsContainer", &q.base,
                                 &grpc__stats_container_response__descriptor, timeout, handler, userdata);
}

int agent_get_oom_event(TtrpcClient *c, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__GetOOMEventRequest q = GRPC__GET_OOMEVENT_REQUEST__INIT;

        return ttrpc_client_call(c, SERVICE_AGENT, "GetOOMEvent", &q.base, &grpc__oomevent__descriptor, 0, handler,
                                 userdata);
}

int agent_remove_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata)
{
        Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.timeout = (uint32_t) MIN(timeout / USEC_PER_SEC, (usec_t) UINT32_MAX);
        return call_agent(c, "RemoveContainer", &q.base, timeout, handler, userdata);
}

int agent_destroy_sandbox(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Grpc__DestroySandboxRequest q = GRPC__DESTROY_SANDBOX_REQUEST__INIT;

        return call_agent(c, "DestroySandbox", &q.base, timeout, handler, userdata);
}

int agent_attach_stdio(TtrpcClient *c, const char *id, const char *exec_id, const AgentStdio *stdio,
                       usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__AttachStdioRequest q = KATA__SYSTEMD__V1__ATTACH_STDIO_REQUEST__INIT;

        q.container_id = UNCONST(id);
        q.exec_id = UNCONST(exec_id ? exec_id : id);
        q.stdin_port = stdio->stdin_port;
        q.stdout_port = stdio->stdout_port;
        q.stderr_port = stdio->stderr_port;
        return call_extension(c, "AttachStdio", &q.base, &kata__systemd__v1__attach_stdio_response__descriptor, timeout,
                              handler, userdata);
}

int agent_set_interface_address(TtrpcClient *c, const char *address, const char *new_address, usec_t timeout,
                                TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__SetInterfaceAddressRequest q = KATA__SYSTEMD__V1__SET_INTERFACE_ADDRESS_REQUEST__INIT;

        q.hw_address = UNCONST(address);
        q.new_hw_address = UNCONST(new_address);
        return ttrpc_client_call(c, SERVICE_EXTENSION, "SetInterfaceAddress", &q.base,
                                 &google__protobuf__empty__descriptor, timeout, handler, userdata);
}

int agent_list_containers(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        Kata__Systemd__V1__ListContainersRequest q = KATA__SYSTEMD__V1__LIST_CONTAINERS_REQUEST__INIT;

        return call_extension(c, "ListContainers", &q.base,
                              &kata__systemd__v1__list_containers_response__descriptor, timeout, handler, userdata);
}
