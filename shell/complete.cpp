#include "shell/complete.h"

#include "shell/grammar.h"
#include "shell/text.h"

#include <algorithm>

namespace lom::shell {

namespace {

class Completer {
  public:
    Completer(Tree& tree, std::string_view current, std::string_view line)
        : tree_(tree), current_(current), tokens_(tokenize(line)) {
        const bool between =
            tokens_.empty() || (tokens_.back().end < line.size() && !tokens_.back().open);
        if (!between) {
            word_ = tokens_.back();
            tokens_.pop_back();
        } else {
            word_.begin = line.size();
        }
        result_.begin = word_.begin;
    }

    Completion run() {
        if (word_.open || word_.quoted_start)
            return result_; // free text
        if (tokens_.empty()) {
            offer_verbs();
            return result_;
        }
        verb_ = find_verb(tokens_.front().text);
        if (!verb_)
            return result_;
        if (const OptionSpec* awaiting = option_awaiting_argument()) {
            for (const std::string& choice : choices_of(*awaiting))
                offer(choice, std::string(choice_doc(*awaiting, choice)), " ");
        } else if (!word_.text.empty() && word_.text.front() == '-') {
            for (const OptionSpec* option : options_of(verb_->verb))
                offer(std::string(option->name), std::string(option->doc), " ");
        } else if (word_.equals != std::string::npos) {
            offer_values();
        } else {
            offer_names();
        }
        return result_;
    }

  private:
    void offer(const std::string& text, const std::string& doc, const std::string& tail) {
        if (starts_with_name(text, word_.text))
            result_.candidates.push_back({text, doc, tail});
    }

    void offer_verbs() {
        for (const VerbSpec& verb : verbs())
            offer(std::string(verb.name), std::string(verb.doc), " ");
    }

    const OptionSpec* option_awaiting_argument() const {
        if (tokens_.size() < 2 || !tokens_.back().is_option())
            return nullptr;
        const OptionSpec* option = find_option(verb_->verb, tokens_.back().text);
        return option && !option->argument.empty() ? option : nullptr;
    }

    // The words between verb and cursor that are no options nor their arguments.
    std::vector<const Token*> items() const {
        std::vector<const Token*> result;
        for (std::size_t i = 1; i < tokens_.size(); ++i) {
            const OptionSpec* option =
                tokens_[i].is_option() ? find_option(verb_->verb, tokens_[i].text) : nullptr;
            if (option && !option->argument.empty())
                ++i;
            else if (!tokens_[i].is_option())
                result.push_back(&tokens_[i]);
        }
        return result;
    }

    // The target that the properties at the cursor belong to.
    Result<control::TargetDescription> described_target() const {
        const auto before = items();
        std::string path = current_;
        if (!before.empty() && before.front()->equals == std::string::npos)
            path = resolve_path(current_, before.front()->text);
        return tree_.describe(path);
    }

    std::vector<control::PropertyDescription> properties_at_cursor() const {
        if (verb_->verb == Verb::create) {
            const auto before = items();
            if (before.empty())
                return {};
            const auto container =
                tree_.describe(parent_path(resolve_path(current_, before.front()->text)));
            if (container)
                for (const control::VerbDescription& verb : container->verbs)
                    if (verb.name == "create")
                        return verb.properties;
            return {};
        }
        auto target = described_target();
        return target ? std::move(target->properties) : std::vector<control::PropertyDescription>();
    }

    void offer_values() {
        const std::string name = word_.text.substr(0, word_.equals);
        std::size_t equals = word_.equals + 1;
        if (equals < word_.text.size() && word_.text[equals] == '=')
            ++equals;
        for (const control::PropertyDescription& property : properties_at_cursor())
            if (same_name(property.name, name))
                for (std::size_t i = 0; i < property.values.size(); ++i)
                    offer(word_.text.substr(0, equals) + property.values[i],
                          i < property.value_docs.size() ? property.value_docs[i] : property.doc,
                          " ");
    }

    void offer_names() {
        const bool first = items().empty();
        if (first)
            offer_targets();
        if (first && verb_->verb == Verb::help) {
            offer_verbs();
            offer("targets", "The targets there are.", " ");
            offer("legal", "The licence.", " ");
        }
        const bool names_properties = verb_->verb == Verb::set || verb_->verb == Verb::show ||
                                      verb_->verb == Verb::create || verb_->verb == Verb::help;
        if (!names_properties || word_.text.find('/') != std::string::npos)
            return;
        const bool assigns = verb_->verb == Verb::set || verb_->verb == Verb::create;
        for (const control::PropertyDescription& property : properties_at_cursor())
            if (verb_->verb != Verb::set || !property.write_role.empty())
                offer(property.name, property.doc, assigns ? "=" : " ");
    }

    void offer_targets() {
        const std::size_t slash = word_.text.rfind('/');
        const std::string folder =
            slash == std::string::npos ? "" : word_.text.substr(0, slash + 1);
        const auto described = tree_.describe(resolve_path(current_, folder));
        if (!described)
            return;
        for (const auto& [name, doc] : described->targets)
            offer(folder + name, doc, " ");
        if (result_.candidates.size() != 1)
            return;
        Candidate& only = result_.candidates.front();
        const auto below = tree_.describe(resolve_path(current_, only.text));
        if (below && !below->targets.empty())
            only.tail = "/";
    }

    Tree& tree_;
    std::string current_;
    std::vector<Token> tokens_; ///< whole words before the one at the cursor
    Token word_;
    const VerbSpec* verb_ = nullptr;
    Completion result_;
};

} // namespace

std::string Completion::common() const {
    if (candidates.empty())
        return {};
    std::string prefix = candidates.front().text;
    for (const Candidate& candidate : candidates)
        while (!starts_with_name(candidate.text, prefix))
            prefix.pop_back();
    return prefix;
}

Completion complete(Tree& tree, std::string_view current, std::string_view line) {
    return Completer(tree, current, line).run();
}

std::string render_candidates(const Completion& completion, std::size_t width) {
    std::size_t name_width = 0;
    for (const Candidate& candidate : completion.candidates)
        name_width = std::max(name_width, columns(candidate.text));
    std::string out;
    for (const Candidate& candidate : completion.candidates) {
        const std::string line =
            clipped(padded(candidate.text, name_width) + "  " + candidate.doc, width);
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

} // namespace lom::shell
