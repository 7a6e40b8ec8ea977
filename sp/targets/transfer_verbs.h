// The verbs load and dump: a file from another machine, or pasted text, and a file to another
// machine. A target says what it does with the content; where it comes from is the same for all.
#pragma once

#include "sp/service/transfers.h"
#include "sp/tree/target.h"

#include <functional>
#include <string>

namespace lom {

/// What to do with what was loaded; `set` of the property that it becomes, for instance.
using TakeContent = std::function<void(const Caller&, std::string content, Property::Done)>;
Verb load_verb(Transfers& transfers, std::string doc, Roles role, TakeContent take);

using GiveContent = std::function<void(std::function<void(Result<std::string>)>)>;
Verb dump_verb(Transfers& transfers, std::string doc, Roles role, GiveContent give);

/// Sends to where `-destination` of a dump says.
void send_dump(Transfers& transfers, const VerbCall& call, std::string content,
               const Verb::Done& done);
/// What `dump` takes.
std::vector<Property> dump_properties();

/// A text that was given to a verb; empty when it was not.
std::string text_of(const VerbCall& call, std::string_view name);

} // namespace lom
