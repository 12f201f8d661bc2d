/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines of kata-runtime events, as runc prints them: an object with type, id and data. The names of data are those
 * of types/events.go of runc 1.1; what a guest does not tell (cpuset, intel_rdt) is an empty object. Pure.
 */

#include <json-c/json.h>

#include "runtime/cli/task-numbers.h"

json_object *stats_event_new(const char *id, const TaskNumbers *numbers);
json_object *oom_event_new(const char *id);
