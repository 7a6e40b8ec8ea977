#include "sp/targets/targets.h"

namespace lom {

Target::Ptr build_root(const TargetContext& context) {
    auto root = Target::make("", "The service processor and the host it manages.");
    auto host = host_target(context);
    auto console = console_target(context);
    host->child(console);
    host->child(screen_target(context));
    auto sp = sp_target(context, console);
    root->child(host);
    root->child(sp);
    root->child(legacy_system_target(context));
    root->child(system_target(context));
    return root;
}

} // namespace lom
