/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.Health: see services.h. */

#include "agent/services.h"

/* The API version constant of Kata's agent, not of this program. */
#define GRPC_API_VERSION "0.0.1"

void service_health_check(void *userdata, Request *request, const void *input)
{
        Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

        response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        request_reply(request, &response.base);
}

void service_health_version(void *userdata, Request *request, const void *input)
{
        Grpc__VersionCheckResponse response = GRPC__VERSION_CHECK_RESPONSE__INIT;
        char api[] = GRPC_API_VERSION, version[] = PROJECT_VERSION;

        response.grpc_version = api;
        response.agent_version = version;
        request_reply(request, &response.base);
}
