/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The methods that this agent serves: grpc.Health, grpc.AgentService (wire-compatible with Kata 3.32 to 4.1)
 * and kata.systemd.v1.AgentExtension. One function a method, grouped in the service-*.c files; the table in
 * method-table.c is the only list. Whatever is not in it is answered with UNIMPLEMENTED and its name.
 */

#include "agent/guest-container.h"
#include "agent/guest-exec.h"
#include "agent/sandbox.h"
#include "agent/server.h"
#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/memagent.pb-c.h"

/* userdata of the server is the Sandbox. */
const Method *agent_methods(size_t *ret_n);

/* service-health.c */
void service_health_check(void *userdata, Request *request, const void *input);
void service_health_version(void *userdata, Request *request, const void *input);

/* service-guest.c */
void service_get_guest_details(void *userdata, Request *request, const void *input);
void service_set_guest_date_time(void *userdata, Request *request, const void *input);
void service_reseed_random_dev(void *userdata, Request *request, const void *input);

/* service-network.c */
void service_update_interface(void *userdata, Request *request, const void *input);
void service_update_routes(void *userdata, Request *request, const void *input);
void service_list_interfaces(void *userdata, Request *request, const void *input);
void service_list_routes(void *userdata, Request *request, const void *input);
void service_add_arp_neighbors(void *userdata, Request *request, const void *input);
void service_set_interface_address(void *userdata, Request *request, const void *input);
void service_get_iptables(void *userdata, Request *request, const void *input);
void service_set_iptables(void *userdata, Request *request, const void *input);

/* service-files.c */
void service_copy_file(void *userdata, Request *request, const void *input);
void service_get_diagnostic_data(void *userdata, Request *request, const void *input);

/* service-volume.c */
void service_get_volume_stats(void *userdata, Request *request, const void *input);
void service_resize_volume(void *userdata, Request *request, const void *input);
void service_update_ephemeral_mounts(void *userdata, Request *request, const void *input);
void service_remove_stale_virtiofs_share_mounts(void *userdata, Request *request, const void *input);
void service_add_swap(void *userdata, Request *request, const void *input);
void service_add_swap_path(void *userdata, Request *request, const void *input);
void service_mem_hotplug_by_probe(void *userdata, Request *request, const void *input);

/* service-container.c */
void service_create_sandbox(void *userdata, Request *request, const void *input);
void service_destroy_sandbox(void *userdata, Request *request, const void *input);
void service_create_container(void *userdata, Request *request, const void *input);
void service_start_container(void *userdata, Request *request, const void *input);
void service_remove_container(void *userdata, Request *request, const void *input);
void service_exec_process(void *userdata, Request *request, const void *input);
void service_signal_process(void *userdata, Request *request, const void *input);
void service_wait_process(void *userdata, Request *request, const void *input);
void service_create_container_extended(void *userdata, Request *request, const void *input);
void service_exec_process_extended(void *userdata, Request *request, const void *input);
void service_list_containers(void *userdata, Request *request, const void *input);

/* service-resources.c */
void service_update_container(void *userdata, Request *request, const void *input);
void service_update_container_extended(void *userdata, Request *request, const void *input);
void service_pause_container(void *userdata, Request *request, const void *input);
void service_resume_container(void *userdata, Request *request, const void *input);
void service_stats_container(void *userdata, Request *request, const void *input);
void service_get_oom_event(void *userdata, Request *request, const void *input);
void service_online_cpu_mem(void *userdata, Request *request, const void *input);
void service_get_metrics(void *userdata, Request *request, const void *input);
void service_mem_agent_memcg_set(void *userdata, Request *request, const void *input);
void service_mem_agent_compact_set(void *userdata, Request *request, const void *input);

/* service-stdio.c */
void service_write_stdin(void *userdata, Request *request, const void *input);
void service_read_stdout(void *userdata, Request *request, const void *input);
void service_read_stderr(void *userdata, Request *request, const void *input);
void service_close_stdin(void *userdata, Request *request, const void *input);
void service_tty_win_resize(void *userdata, Request *request, const void *input);
void service_attach_stdio(void *userdata, Request *request, const void *input);

/* service-policy.c */
void service_set_policy(void *userdata, Request *request, const void *input);
/* A MethodGuard. */
int service_guard(void *userdata, const Method *method, const void *input, char **reterr_message);

/* The container; answers the request with NOT_FOUND and returns NULL if there is none. */
GuestContainer *service_lookup(Sandbox *sandbox, Request *request, const char *id);

typedef struct ProcessRef {
        GuestContainer *gc;
        GuestExec *exec;        /* NULL: the init process */
        GuestProcess *process;
} ProcessRef;

/*
 * The same for a process: exec_id "" and the container's own id are its init process. gone: one that has been
 * waited for will do, for its output.
 */
bool service_lookup_process(Sandbox *sandbox, Request *request, const char *id, const char *exec_id, bool gone,
                            ProcessRef *ret);
