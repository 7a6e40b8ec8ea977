// /SP/media: the service processor's own images.
#include "sp/service/media_library.h"
#include "sp/targets/clock_text.h"
#include "sp/targets/size_type.h"
#include "sp/targets/targets.h"
#include "sp/targets/transfer_verbs.h"

#include <cstdlib>

namespace lom {

namespace {

constexpr Roles librarian = Role::admin | Role::console;

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MB"; }

Verb delete_verb(std::string doc, std::function<Result<void>()> remove) {
    return {.name = "delete",
            .doc = std::move(doc),
            .role = librarian,
            .run = [remove = std::move(remove)](const VerbCall&, const std::string& path,
                                                const Verb::Done& done) {
                const auto removed = remove();
                done(removed ? Result<VerbOutcome>(VerbOutcome{.message = "Deleted " + path})
                             : removed.fault());
            }};
}

std::string list_of(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts)
        all += (all.empty() ? "" : ", ") + text;
    return all;
}

Target::Ptr image_target(MediaLibrary& library, const kvms::LibraryImage& image) {
    auto target = Target::make(image.name, "An image of the library.");
    target->shows<std::string>("in_use_by", "The devices that have it.",
                               [image] { return list_of(image.users); });
    target->shows<std::string>("modified", "When it was written.",
                               [image] { return clock_text(image.modified); });
    target->shows<std::string>("sha256", "Checksum; computed in the background.",
                               [image] { return image.sha256; });
    target->shows<std::int64_t>("size", "In bytes.",
                                [image] { return static_cast<std::int64_t>(image.size); });
    target->shows<std::string>("status", "ready, loading; checking: the checksum is on its way.",
                               [image] { return image.sha256.empty() ? "checking" : "ready"; });
    target->shows<std::string>("volume_id", "Volume id of an ISO image.",
                               [image] { return image.volume_id; });
    target->verb(
        delete_verb("Deletes the image; refused while a device has it.",
                    [&library, name = image.name] { return library.images().remove(name); }));
    return target;
}

Target::Ptr loading_target(MediaLibrary& library, const MediaLibrary::Loading& loading) {
    auto target = Target::make(loading.name, "An image that is being loaded.");
    target->shows<std::string>("progress", "How much of it is here.", [loading] {
        return loading.size == 0 ? "" : std::to_string(loading.loaded * 100 / loading.size) + " %";
    });
    target->shows<std::int64_t>("size", "In bytes, when it is complete.",
                                [loading] { return static_cast<std::int64_t>(loading.size); });
    target->shows<std::string>("source", "Where it comes from.",
                               [loading] { return loading.source; });
    target->shows<std::string>("status", "loading", [] { return "loading"; });
    target->verb(delete_verb("Gives the load up.",
                             [&library, name = loading.name] { return library.cancel(name); }));
    return target;
}

Verb load_image(MediaLibrary& library) {
    Verb verb{.name = "load",
              .doc = "Brings an image from another machine.",
              .role = librarian,
              .asks = false,
              .run = [&library](const VerbCall& call, const std::string&, const Verb::Done& done) {
                  library.load(
                      {text_of(call, "source"), text_of(call, "password"), call.caller.roles},
                      [done](const Result<std::string>& loaded) {
                          done(loaded ? Result<VerbOutcome>(VerbOutcome{.message = *loaded})
                                      : loaded.fault());
                      });
              }};
    verb.takes = {
        Target::property_of<std::string>(
            {.name = "source",
             .doc = "sftp://[USER@]HOST[:PORT]/PATH or http(s)://HOST/PATH; its last "
                    "part becomes the image's name.",
             .required = true}),
        Target::property_of<std::string>(
            {.name = "password", .doc = "Of the account on the other machine.", .secret = true})};
    return verb;
}

/// What the SSH door asks for when scp or sftp comes.
Verb sftp_verb(const TargetContext& context, std::string name, std::string doc,
               std::function<void(const Caller&, const Verb::Done&)> run) {
    return {.name = std::move(name),
            .doc = std::move(doc),
            .role = librarian,
            .asks = false,
            .run =
                [&sessions = context.sessions, run = std::move(run)](
                    const VerbCall& call, const std::string&, const Verb::Done& done) {
                    const auto session =
                        sessions.find(std::strtoll(call.caller.session.c_str(), nullptr, 10));
                    if (!session || session->type != "sftp")
                        return done(
                            Fault{FaultKind::wrong_state,
                                  "Copy images with scp or sftp to this service processor's "
                                  "SSH port: scp IMAGE.iso " +
                                      call.caller.account + "@SP:"});
                    run(call.caller, done);
                },
            .listed = false};
}

void start_sftp(kvms::Uploads& uploads, const Tree::Audit& audit, const Caller& caller,
                const Verb::Done& done) {
    auto stream = uploads.begin(
        caller.session, [audit, caller](const std::string& deed, const Result<void>& result) {
            audit({.caller = caller,
                   .deed = deed + " in /SP/media by SFTP",
                   .done = static_cast<bool>(result),
                   .reason = result ? "" : result.fault().message});
        });
    if (!stream)
        return done(stream.fault());
    done(VerbOutcome{.stream = "sftp", .fd = std::move(*stream)});
}

void stop_sftp(kvms::Uploads& uploads, const Caller& caller, const Verb::Done& done) {
    uploads.finish(caller.session, [done](const std::vector<std::string>& complaints) {
        std::string text;
        for (const std::string& complaint : complaints)
            text += (text.empty() ? "" : "\n") + complaint;
        done(VerbOutcome{.message = text});
    });
}

} // namespace

Target::Ptr media_target(const TargetContext& context) {
    MediaLibrary& library = context.library;
    auto target = Target::make("media", "The image library: images that lie on this machine.");
    target->shows<std::string>("available", "Room that quota and file system leave.",
                               [&library] { return megabytes(library.images().room()); });
    target->managed<ByteSize>(
        {.name = "quota",
         .doc = "What all images may take together.",
         .write = Role::admin,
         .get = [&library] { return ByteSize{static_cast<std::uint64_t>(library.quota())}; },
         .set =
             [&library](const Caller&, ByteSize quota, const Property::Done& done) {
                 const auto set = library.set_quota(static_cast<std::int64_t>(quota.bytes));
                 done(set ? Result<SetOutcome>(SetOutcome{}) : set.fault());
             }});
    target->shows<std::string>("used", "What the images take.",
                               [&library] { return megabytes(library.images().used()); });
    target->verb(load_image(library));
    target->verb(sftp_verb(
        context, "start", "Begins an SFTP session; scp and sftp do.",
        [&library, audit = context.audit_deed](const Caller& caller, const Verb::Done& done) {
            start_sftp(library.uploads(), audit, caller, done);
        }));
    target->verb(sftp_verb(context, "stop", "Ends it, and says what became of the files.",
                           [&library](const Caller& caller, const Verb::Done& done) {
                               stop_sftp(library.uploads(), caller, done);
                           }));
    target->dynamic_children([&library] {
        std::vector<Target::Ptr> children;
        for (const kvms::LibraryImage& image : library.images().images())
            children.push_back(image_target(library, image));
        for (const MediaLibrary::Loading& loading : library.loadings())
            children.push_back(loading_target(library, loading));
        return children;
    });
    return target;
}

} // namespace lom
