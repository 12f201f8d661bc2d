#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Policy=: the agent refuses what the operator has not allowed, and says what it was.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

REQUESTS='CreateSandbox DestroySandbox CreateContainer StartContainer WaitProcess SignalProcess RemoveContainer'

# policy_sandbox ID: with a policy from standard input and two variables.
policy_sandbox() {
        cat >"$T_WORK/policy"
        busybox_root "$T_WORK/root"
        write_sandbox_conf "$1" <<CONF
[Sandbox]
Policy=$T_WORK/policy
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/sh -c 'echo COLOUR is \$COLOUR; exec sleep 1000'
Environment=COLOUR=blue
CONF
}

fails_with() {
        local text
        assert_fails timeout "$((90 * T_SCALE))" systemctl start "kata-sandbox@$1"
        for text in "${@:2}"; do
                assert_contains "$(unit_property "kata-sandbox@$1" StatusText)" "$text" "status of the unit"
        done
}

allowed() {
        policy_sandbox polok <<CONF
[Policy]
Allow=$REQUESTS ReadStdout ReadStderr ListContainers AttachStdio
Mount=proc proc /proc
Mount=* * /dev*
Mount=* * /sys*
Storage=virtio-fs kataShared /run/kata-containers/shared/containers/
Environment=COLOUR=*
Environment=PATH=*
Environment=container=*
CONF
        start_sandbox polok
        assert_journal KATA_SANDBOX_ID=polok KATA_COMPONENT=agent "MESSAGE~policy is in force"
        assert_journal KATA_SANDBOX_ID=polok MESSAGE="COLOUR is blue"
        # The policy stays with the machine: a new supervisor gets on with what is allowed.
        kill -KILL "$(unit_property kata-sandbox@polok MainPID)"
        assert_journal --within 20 KATA_SANDBOX_ID=polok "MESSAGE~took over the running machine"
        wait_for 10 "the unit to be active" systemctl is-active kata-sandbox@polok
        stop_sandbox polok
}

variable() {
        policy_sandbox polenv <<CONF
[Policy]
Allow=$REQUESTS ReadStdout ReadStderr
Environment=PATH=*
Environment=container=*
CONF
        fails_with polenv "the policy refuses environment variable 'COLOUR' (Environment=)"
        assert_journal KATA_SANDBOX_ID=polenv KATA_COMPONENT=agent "MESSAGE~CreateContainer: the policy refuses"
}

mount_refused() {
        policy_sandbox polmnt <<CONF
[Policy]
Allow=$REQUESTS ReadStdout ReadStderr
Mount=
CONF
        fails_with polmnt "the policy refuses mount on"
}

request() {
        policy_sandbox polreq <<CONF
[Policy]
Allow=CreateSandbox CreateContainer ReadStdout ReadStderr
CONF
        fails_with polreq "the policy refuses the request 'StartContainer' (Allow=)"
}

output_needs_its_requests() {
        policy_sandbox polout <<CONF
[Policy]
Allow=$REQUESTS ReadStdout
CONF
        fails_with polout "the policy refuses a stream in place of 'ReadStderr'"
}

malformed() {
        policy_sandbox polbad <<'CONF'
[Policy]
Allow=*
Deny=ExecProcess
CONF
        fails_with polbad "$T_WORK/policy: line 3: unknown key 'Deny'"
        assert_no_journal KATA_SANDBOX_ID=polbad "MESSAGE~Virtual machine.*started"
        echo 'package agent_policy' >"$T_WORK/policy"
        fails_with polbad "Rego is not understood"
        rm "$T_WORK/policy"
        fails_with polbad "$T_WORK/policy: No such file"
}

t "what is allowed works, after a takeover as well" allowed
t_live "a variable that is not allowed" variable
t_live "a mount that is not allowed" mount_refused
t_live "a request that is not allowed" request
t_live "output that is not allowed" output_needs_its_requests
t_live "malformed policies" malformed
