/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that write or read single files: see services.h. The work_* functions run in workers. */

#include "agent/calls.h"
#include "agent/copy-file.h"
#include "agent/services.h"
#include "agent/termination-log.h"
#include "basic/error.h"

/* A piece of a megabyte on a slow disk behind virtio-fs. */
#define COPY_USEC (30 * USEC_PER_SEC)
#define READ_USEC (10 * USEC_PER_SEC)

static int work_copy_file(const void *input, CallAnswer *answer, char **reterr_message)
{
        _cleanup_(copy_plan_done) CopyPlan plan = {};
        int r;

        r = copy_plan(input, COPY_ROOT, &plan, reterr_message);
        return r < 0 ? r : copy_apply(&plan, COPY_ROOT, reterr_message);
}

void service_copy_file(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_copy_file, NULL, COPY_USEC, false };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_get_diagnostic_data(const void *input, CallAnswer *answer, char **reterr_message)
{
        Grpc__GetDiagnosticDataResponse response = GRPC__GET_DIAGNOSTIC_DATA_RESPONSE__INIT;
        _cleanup_free_ char *text = NULL;
        int r;

        r = termination_log_read(input, &text, reterr_message);
        if (r < 0)
                return r;
        response.data = text;
        return call_answer(answer, &response.base);
}

void service_get_diagnostic_data(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_get_diagnostic_data, &grpc__get_diagnostic_data_response__descriptor, READ_USEC, false,
        };
        const Grpc__GetDiagnosticDataRequest *q = input;
        GuestContainer *gc = service_lookup(userdata, request, q->container_id);
        const TerminationLog *log;

        if (!gc)
                return;
        if (!streq(q->log_type, "termination_log"))
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "log type '%s' is not known, only "
                                    "'termination_log'", q->log_type);
        log = guest_container_termination_log(gc);
        if (!log->path)
                return request_fail(request, TTRPC_NOT_FOUND, "container %s names no termination log in "
                                    "its annotations", q->container_id);

        calls_run(sandbox_calls(userdata), request, &method, log);
}
