/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox would boot: see guest-files.h. The files belong to root. */

#include "runtime/cli/guest-files.h"

#include "basic/error.h"
#include "runtime/vmm/distribution.h"

void guest_files_done(GuestFiles *files)
{
        vm_config_done(&files->config);
        guest_dir_done(&files->dir);
}

static int find_kernel(const NodeConf *node, VmConfig *config, char **reterr_message)
{
        _cleanup_(distribution_kernel_done) DistributionKernel d = {};
        int r;

        if (!streq(node->kernel, CONF_KERNEL_DISTRIBUTION)) {
                if (node->kernel_release)
                        return error_setf(reterr_message, -EINVAL,
                                          "KernelRelease= of kata.conf needs Kernel=distribution");
                config->machine = VM_MACHINE_MICROVM;
                config->kernel_path = strdup(node->kernel);
                return config->kernel_path ? 0 : -ENOMEM;
        }

        r = distribution_kernel_find(NULL, INITRDDIR, node->kernel_release, &d, reterr_message);
        if (r < 0)
                return r;
        config->machine = VM_MACHINE_Q35;
        config->kernel_path = strdup(d.kernel.image);
        config->initrd_path = strdup(d.initrd);
        return config->kernel_path && config->initrd_path ? 0 : -ENOMEM;
}

int guest_files_find(NodeConf *node, GuestFiles *ret, char **reterr_message)
{
        int r;

        *ret = (GuestFiles) { .dir = GUEST_DIR_NULL, .config = VM_CONFIG_INIT };
        r = guest_dir_open(NULL, node, NULL, NULL, &ret->dir, reterr_message);
        if (r >= 0)
                r = find_kernel(node, &ret->config, reterr_message);
        if (r < 0)
                return r;
        ret->config.image_path = strdup(node->image);
        return ret->config.image_path ? 0 : -ENOMEM;
}

int guest_files_check(const NodeConf *node, GuestFiles *files, char **reterr_message)
{
        int r;

        r = guest_params_load(node->image_parameters, &files->config.params, reterr_message);
        if (r >= 0 && node->image_certificate)
                r = guest_params_verify_signature(&files->config.params, node->image, node->image_signature,
                                                  node->image_certificate, reterr_message);
        if (r >= 0)
                r = vm_config_open(&files->config, node->image_parameters, reterr_message);
        return r;
}
