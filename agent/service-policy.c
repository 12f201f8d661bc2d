/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetPolicy, what it sets in force, and the guard in front of every method: see services.h, policy-check.h and
 * host-guard.h. Until a host has set one, everything
 * is allowed, this included; a policy that does not allow SetPolicy stays until the machine ends.
 */

#include "agent/host-guard.h"
#include "agent/policy-check.h"
#include "agent/services.h"
#include "basic/error.h"
#include "basic/log.h"

int service_guard(void *userdata, const Method *method, const void *input, char **reterr_message)
{
        int r;

        if (streq(method->service, "grpc.Health"))
                idle_memory_checked(sandbox_idle_memory(userdata));
        else
                idle_memory_used(sandbox_idle_memory(userdata));

        r = host_guard(sandbox_place(userdata), method->name, input, reterr_message);
        if (r >= 0)
                r = policy_check(sandbox_policy(userdata), method->service, method->name, method->input, input,
                                 reterr_message);
        if (r < 0)
                log_warning("%s: %s", method->name, reterr_message && *reterr_message ? *reterr_message : "refused");
        return r;
}

void service_set_policy(void *userdata, Request *request, const void *input)
{
        const Grpc__SetPolicyRequest *q = input;
        _cleanup_free_ char *message = NULL;
        Policy *policy;
        int r;

        r = policy_parse(q->policy, strlen(q->policy), &policy, &message);
        if (r < 0)
                return request_fail(request, r == -ENOMEM ? TTRPC_RESOURCE_EXHAUSTED : TTRPC_INVALID_ARGUMENT,
                                    "policy: %s", error_text(message, r));

        sandbox_set_policy(userdata, policy);
        log_info("A policy is in force");
        request_reply(request, NULL);
}
