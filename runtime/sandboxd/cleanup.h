/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kata-sandboxd --cleanup ID: what a supervisor that died for good has left. Called by ExecStopPost= (then
 * $SERVICE_RESULT tells whether the unit is about to be restarted and take its machine over: nothing is
 * done) and by kata-sandbox-cleanup@ID.service. Any number of calls is fine.
 */

/* Returns an exit status. */
int sandbox_cleanup(const char *id);
