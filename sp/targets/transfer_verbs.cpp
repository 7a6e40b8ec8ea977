#include "sp/targets/transfer_verbs.h"

#include <utility>

namespace lom {

/// Text of many lines.
struct PastedText {
    std::string text;
};

template <>
struct Codec<PastedText> {
    static const Type& type() {
        static const Type instance{
            "string",
            {},
            [](std::string_view text) -> Result<Value> {
                if (text.find('\0') != std::string_view::npos)
                    return Fault{FaultKind::invalid_value, "This is not a text."};
                return Value(std::string(text));
            },
            string_type().print};
        return instance;
    }
    static Value wrap(PastedText text) { return std::move(text.text); }
    static PastedText unwrap(const Value& value) { return {std::get<std::string>(value)}; }
};

namespace {

constexpr std::size_t most_loaded = 1U << 20U;

Property text_property(std::string name, std::string doc, bool secret = false,
                       bool required = false) {
    return Target::property_of<std::string>(
        {.name = std::move(name), .doc = std::move(doc), .secret = secret, .required = required});
}

Property::Done finish(const Verb::Done& done, std::string message) {
    return [done, message = std::move(message)](const Result<SetOutcome>& result) {
        done(result ? Result<VerbOutcome>(VerbOutcome{.message = message}) : result.fault());
    };
}

} // namespace

std::string text_of(const VerbCall& call, std::string_view name) {
    for (const auto& [known, value] : call.properties)
        if (known == name)
            return std::get<std::string>(value);
    return {};
}

Verb load_verb(Transfers& transfers, std::string doc, Roles role, TakeContent take) {
    Verb verb{.name = "load",
              .doc = std::move(doc),
              .role = role,
              .asks = false,
              .run = [&transfers, take = std::move(take)](const VerbCall& call, const std::string&,
                                                          const Verb::Done& done) {
                  const std::string source = text_of(call, "source");
                  if (equal_ignoring_case(source, "console"))
                      return take(call.caller, text_of(call, "content"),
                                  finish(done, "Load successful."));
                  transfers.fetch(
                      {source, text_of(call, "password"), call.caller.roles}, most_loaded,
                      [take, caller = call.caller, done](Result<std::string> content) {
                          if (!content)
                              return done(content.fault());
                          take(caller, std::move(*content), finish(done, "Load successful."));
                      });
              }};
    verb.takes = {
        text_property("source",
                      "sftp://[USER@]HOST[:PORT]/PATH, http(s)://HOST/PATH, or console: "
                      "the text is typed or pasted.",
                      false, true),
        Target::property_of<PastedText>(
            {.name = "content", .doc = "The text itself, with source=console.", .secret = true}),
        text_property("password", "Of the account on the other machine.", true)};
    return verb;
}

void send_dump(Transfers& transfers, const VerbCall& call, std::string content,
               const Verb::Done& done) {
    transfers.store({text_of(call, "destination"), text_of(call, "password"), call.caller.roles},
                    std::move(content), [done](const Result<void>& stored) {
                        done(stored
                                 ? Result<VerbOutcome>(VerbOutcome{.message = "Dump successful."})
                                 : stored.fault());
                    });
}

std::vector<Property> dump_properties() {
    return {text_property("destination", "sftp://[USER@]HOST[:PORT]/PATH.", false, true),
            text_property("password", "Of the account on the other machine.", true)};
}

Verb dump_verb(Transfers& transfers, std::string doc, Roles role, GiveContent give) {
    Verb verb{.name = "dump",
              .doc = std::move(doc),
              .role = role,
              .asks = false,
              .run = [&transfers, give = std::move(give)](const VerbCall& call, const std::string&,
                                                          const Verb::Done& done) {
                  give([&transfers, call, done](Result<std::string> content) {
                      if (!content)
                          return done(content.fault());
                      send_dump(transfers, call, std::move(*content), done);
                  });
              }};
    verb.takes = dump_properties();
    return verb;
}

} // namespace lom
