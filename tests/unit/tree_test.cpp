#include "sp/tree/tree.h"

#include <gtest/gtest.h>

#include <map>

using namespace lom;

namespace {

struct MemorySettings final : Settings {
    std::optional<std::string> load(const std::string& key) const override {
        const auto found = values.find(key);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    }
    Result<void> store(const std::string& key, const std::string& value) override {
        if (full)
            return Fault{FaultKind::internal, "The disk is full."};
        values[key] = value;
        return {};
    }
    std::map<std::string, std::string> values;
    bool full = false;
};

const Caller admin{"root", *Roles::parse("aucro"), "127.0.0.1", "1"};
const Caller reader{"guest", Role::read_only, "127.0.0.1", "2"};

struct Fixture : testing::Test {
    Fixture() : color(settings, "color", "red"), mode(settings, "mode", Switch::disabled) {
        auto root = Target::make("", "root");
        auto sp = Target::make("SP", "sp");
        sp->persistent<std::string>(color, {.name = "favouriteColor",
                                            .doc = "A color.",
                                            .write = Role::admin,
                                            .check = [](const std::string& text) -> Result<void> {
                                                if (text == "none")
                                                    return Fault{FaultKind::invalid_value, "No."};
                                                return {};
                                            },
                                            .changed = [this] { ++changes; }});
        sp->persistent<Switch>(mode, {.name = "mode", .doc = "On?", .write = Role::admin});
        sp->persistent<std::string>(
            color, {.name = "password", .doc = "Secret.", .write = Role::admin, .secret = true});
        sp->shows<std::string>("version", "Version.", [] { return std::string("1"); });
        sp->verb({.name = "reset",
                  .doc = "Restarts.",
                  .role = Role::reset,
                  .run = [](const VerbCall& call, const std::string& path, const Verb::Done& done) {
                      done(VerbOutcome{.message = (call.force ? "forced " : "") + path});
                  }});
        auto items = Target::make("items", "Things.");
        items->verb(
            {.name = "create",
             .doc = "Makes one.",
             .role = Role::admin,
             .run =
                 [this](const VerbCall& call, const std::string& path, const Verb::Done& done) {
                     created = call.new_name;
                     done(VerbOutcome{.message = "Created " + path});
                 },
             .takes = {Target::property_of<std::int64_t>(
                 {.name = "size", .doc = "Size.", .write = Role::admin, .required = true})}});
        items->dynamic_children([] {
            return std::vector<Target::Ptr>{Target::make("one", "1"), Target::make("Two", "2")};
        });
        sp->child(items);
        root->child(sp);
        root->link("Alias", sp);
        tree.emplace(root, [this](const AuditRecord& record) { audit.push_back(record); });
    }

    Result<Tree::SetAnswer> set(const Caller& caller, const char* path, const char* name,
                                const char* value) {
        std::optional<Result<Tree::SetAnswer>> answer;
        tree->set(caller, path, name, value, [&](Result<Tree::SetAnswer> r) { answer = r; });
        return *answer;
    }

    std::string run(const Caller& caller, const char* path, const char* verb,
                    const std::vector<std::pair<std::string, std::string>>& properties = {}) {
        std::string text;
        VerbCall call;
        call.caller = caller;
        tree->run(std::move(call), path, verb, properties, [&](Result<VerbOutcome> r) {
            text = r ? r->message : "fault: " + r.fault().message;
        });
        return text;
    }

    MemorySettings settings;
    Setting<std::string> color;
    Setting<Switch> mode;
    std::optional<Tree> tree;
    std::vector<AuditRecord> audit;
    std::string created;
    int changes = 0;
};

} // namespace

TEST_F(Fixture, paths_match_whatever_their_case_and_come_back_canonical) {
    EXPECT_EQ("/SP/items/Two", tree->find("/sp/ITEMS/two/")->path);
    EXPECT_EQ("/Alias/items", tree->find("/alias/items")->path);
    EXPECT_EQ("/", tree->find("")->path);
    EXPECT_EQ("/SP", tree->find("/SP/items/../.")->path);
    EXPECT_EQ("/SP", tree->find("/../../SP")->path);
    EXPECT_EQ("Invalid target /SP/none", tree->find("/SP/none").fault().message);
}

TEST_F(Fixture, a_set_is_stored_checked_and_on_record) {
    const auto answer = set(admin, "/SP", "favouritecolor", "blue");
    ASSERT_TRUE(answer);
    EXPECT_EQ("favouriteColor", answer->property);
    EXPECT_EQ("blue", settings.values["color"]);
    EXPECT_EQ(1, changes);
    ASSERT_EQ(1U, audit.size());
    EXPECT_TRUE(audit[0].done);
    EXPECT_EQ("set /SP favouriteColor='blue'", audit[0].deed);

    EXPECT_EQ(FaultKind::invalid_value, set(admin, "/SP", "favouriteColor", "none").fault().kind);
    EXPECT_EQ("blue", *color);
    EXPECT_FALSE(audit[1].done);
}

TEST_F(Fixture, enumerations_ignore_case_and_name_their_values) {
    EXPECT_EQ("enabled", set(admin, "/SP", "mode", "ENABLED")->text);
    EXPECT_EQ("Invalid value for 'mode'. Possible values are disabled, enabled.",
              set(admin, "/SP", "mode", "maybe").fault().message);
}

TEST_F(Fixture, secrets_stay_out_of_answers_and_records) {
    EXPECT_EQ("*****", set(admin, "/SP", "password", "geheim")->text);
    EXPECT_EQ("set /SP password=*****", audit[0].deed);
    EXPECT_EQ("*****", display_text(*tree->find("/SP")->target->find_property("password")));
}

TEST_F(Fixture, roles_are_asked_for_every_change) {
    EXPECT_EQ(FaultKind::denied, set(reader, "/SP", "favouriteColor", "blue").fault().kind);
    EXPECT_EQ("red", *color);
    EXPECT_NE(std::string::npos, run(reader, "/SP", "reset").find("Permission denied"));
    EXPECT_EQ(2U, audit.size());
}

TEST_F(Fixture, a_full_disk_changes_nothing) {
    settings.full = true;
    EXPECT_FALSE(set(admin, "/SP", "favouriteColor", "blue"));
    EXPECT_EQ("red", *color);
    EXPECT_EQ(0, changes);
}

TEST_F(Fixture, read_only_and_unknown_properties_say_so) {
    EXPECT_EQ(FaultKind::wrong_state, set(admin, "/SP", "version", "2").fault().kind);
    EXPECT_EQ(FaultKind::not_found, set(admin, "/SP", "nothing", "2").fault().kind);
}

TEST_F(Fixture, create_names_its_target_and_wants_its_properties) {
    EXPECT_EQ("Created /SP/items/three", run(admin, "/sp/items/three/", "create", {{"SIZE", "3"}}));
    EXPECT_EQ("three", created);
    EXPECT_EQ("fault: The property 'size' is required.", run(admin, "/SP/items/x", "create"));
    EXPECT_EQ("fault: /SP/items/one exists already.",
              run(admin, "/SP/items/one", "create", {{"size", "3"}}));
    EXPECT_EQ("fault: No matching properties found: 'color'.",
              run(admin, "/SP/items/x", "create", {{"color", "3"}}));
}

TEST_F(Fixture, verbs_are_offered_where_they_are_declared) {
    EXPECT_EQ("/SP", run(admin, "/SP", "reset"));
    EXPECT_EQ("fault: The command start is not supported on /SP.", run(admin, "/SP", "start"));
    EXPECT_EQ((std::vector<std::string>{"cd", "reset", "set", "show"}),
              tree->find("/SP")->target->commands());
}

TEST(Setting, keeps_its_fallback_when_the_stored_text_is_of_another_version) {
    MemorySettings settings;
    settings.values["mode"] = "sideways";
    EXPECT_EQ(Switch::enabled, *Setting<Switch>(settings, "mode", Switch::enabled));
}

TEST(Roles, have_letters_and_profiles) {
    EXPECT_EQ("aucro", Roles::parse("Administrator")->letters());
    EXPECT_EQ("cro", Roles::parse("operator")->letters());
    EXPECT_EQ("acs", Roles::parse("sca")->letters());
    EXPECT_FALSE(Roles::parse("xyz"));
    EXPECT_FALSE(Roles::parse(""));
}
