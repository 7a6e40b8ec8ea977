// Tokens, paths, words from a Unix shell, and what Tab offers.
#include "tests/unit/shell_fakes.h"

#include "shell/complete.h"
#include "shell/console_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lom::shell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Grammar, QuotesJoinWords) {
    const auto tokens = tokenize("set  /X script=\"setenv auto-boot? false\" b='a \"c' 'd=e'");
    ASSERT_EQ(tokens.size(), 5U);
    EXPECT_EQ(tokens[2].text, "script=setenv auto-boot? false");
    EXPECT_EQ(tokens[2].equals, 6U);
    EXPECT_EQ(tokens[3].text, "b=a \"c");
    EXPECT_EQ(tokens[4].equals, std::string::npos) << "a quoted = is no separator";
    EXPECT_EQ(tokenize("a=\"x\\\"y\\\\\"")[0].text, "a=x\"y\\");
    EXPECT_TRUE(tokenize("a=\"x y")[0].open);
}

TEST(Grammar, OnlyBareWordsWithADashAreOptions) {
    EXPECT_FALSE(parse("set /X a=-force").value().options.force);
    EXPECT_EQ(parse("set /X offset=-5").value().items.back().value, "-5");
    EXPECT_EQ(parse("show '-x'").value().items.front().name, "-x");
    EXPECT_TRUE(parse("start /SYS -f -script").value().options.force);
}

TEST(Grammar, ValuesKeepEverythingBehindTheFirstEquals) {
    const auto command = parse("set /X a==b c= d=e=f");
    EXPECT_EQ(command.value().items[1].value, "=b");
    EXPECT_EQ(command.value().items[2].value, "");
    EXPECT_EQ(command.value().items[3].value, "e=f");
}

TEST(Grammar, PathsResolve) {
    EXPECT_EQ(resolve_path("/SP/users", "root"), "/SP/users/root");
    EXPECT_EQ(resolve_path("/SP/users", ".."), "/SP");
    EXPECT_EQ(resolve_path("/SP", "../../../.."), "/");
    EXPECT_EQ(resolve_path("/SP", "/SYS//MB/./"), "/SYS/MB");
    EXPECT_EQ(resolve_path("/", ""), "/");
    EXPECT_EQ(parent_path("/SP"), "/");
    EXPECT_EQ(last_name("/SP/users"), "users");
}

TEST(Grammar, UnixWordsKeepTheirSpaces) {
    const auto line_of = [](std::vector<std::string> words) { return join_words(words); };
    EXPECT_EQ(line_of({"show /SYS power_state"}), "show /SYS power_state");
    EXPECT_EQ(line_of({"set", "/X", "script=setenv a b"}), "set /X script=\"setenv a b\"");
    EXPECT_EQ(line_of({"show", "/X", "type==Host Processor"}), "show /X type==\"Host Processor\"");
    EXPECT_EQ(line_of({"set", "/X", "script=\"a b\""}), "set /X script=\"a b\"");
    EXPECT_EQ(line_of({"set", "/X", "a="}), "set /X a=");
}

TEST(Grammar, Patterns) {
    EXPECT_TRUE(matches_pattern("Host Processor", "host*"));
    EXPECT_TRUE(matches_pattern("anything", "*"));
    EXPECT_TRUE(matches_pattern("abcabd", "*ab?d") == false);
    EXPECT_TRUE(matches_pattern("abcabd", "*abd"));
    EXPECT_FALSE(matches_pattern("abc", "ab"));
    EXPECT_FALSE(matches_pattern(std::string(5000, 'a'), "*a*a*a*a*a*a*a*a*b"));
}

class Completing : public ::testing::Test {
  protected:
    std::vector<std::string> offered(const std::string& line, const std::string& current = "/") {
        last = complete(tree, current, line);
        std::vector<std::string> texts;
        for (const Candidate& candidate : last.candidates)
            texts.push_back(candidate.text + candidate.tail);
        return texts;
    }

    testing::FakeTree tree;
    Completion last;
};

TEST_F(Completing, Verbs) {
    EXPECT_THAT(offered("s"), ElementsAre("set ", "show ", "start ", "stop "));
    EXPECT_EQ(last.common(), "s");
    EXPECT_THAT(offered("st"), ElementsAre("start ", "stop "));
    EXPECT_EQ(last.common(), "st");
    EXPECT_EQ(offered("").size(), verbs().size());
}

TEST_F(Completing, OptionsAndTheirValues) {
    EXPECT_THAT(offered("show -l"), ElementsAre("-level "));
    EXPECT_THAT(offered("show -o t"), ElementsAre("table ", "terse "));
    EXPECT_THAT(offered("start -"), ElementsAre("-script ", "-force ", "-examine ", "-help "));
    EXPECT_THAT(offered("show -o table /SY"), ElementsAre("/SYS/"));
}

TEST_F(Completing, TargetsInTheirOwnCase) {
    EXPECT_THAT(offered("cd /sp/us"), ElementsAre("/sp/users/"));
    EXPECT_EQ(last.begin, 3U);
    EXPECT_THAT(offered("cd /S"), ElementsAre("/SP ", "/SYS "));
    EXPECT_THAT(offered("cd us", "/SP"), ElementsAre("users/"));
    EXPECT_THAT(offered("cd /nowhere/x"), IsEmpty());
}

TEST_F(Completing, PropertiesAndValues) {
    EXPECT_THAT(offered("set /SP/diag/snapshot d"), ElementsAre("dataset=", "dump_uri="));
    EXPECT_THAT(offered("set /SP/diag/snapshot dataset=f"),
                ElementsAre("dataset=full ", "dataset=fruid "));
    EXPECT_THAT(offered("set data", "/SP/diag/snapshot"), ElementsAre("dataset="));
    EXPECT_THAT(offered("set /SYS p"), IsEmpty()) << "read-only";
    EXPECT_THAT(offered("show /SYS p"), ElementsAre("product_name ", "power_state "));
    EXPECT_THAT(offered("create /SP/users/x r"), ElementsAre("role="));
    EXPECT_THAT(render_candidates(complete(tree, "/", "set /SP/diag/snapshot d"), 80),
                HasSubstr("dataset   How much.\n"));
}

TEST_F(Completing, ValuesAndChoicesSayWhatTheyMean) {
    EXPECT_EQ(render_candidates(complete(tree, "/", "set /SP/diag/snapshot dataset="), 80),
              "dataset=normal  What is asked for most.\n"
              "dataset=full    Everything; may reset the host.\n"
              "dataset=fruid   Part numbers only.\n");
    for (const VerbSpec& verb : verbs())
        for (const OptionSpec* option : options_of(verb.verb))
            for (const std::string& choice : choices_of(*option))
                EXPECT_FALSE(choice_doc(*option, choice).empty()) << option->name << choice;
}

TEST(Console, EscapeIsNamedForPeople) {
    EXPECT_EQ(ConsoleSession::escape_name("#."), "#.");
    EXPECT_EQ(ConsoleSession::escape_name("\x1b("), "ESC (");
    EXPECT_EQ(ConsoleSession::escape_name("\x1d"), "^]");
}

} // namespace
} // namespace lom::shell
