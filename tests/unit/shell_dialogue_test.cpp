// Golden dialogues: a line goes in, exactly these bytes come out.
#include "tests/unit/shell_fakes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace lom::shell {
namespace {

using ::testing::ElementsAre;
using testing::FakeTerminal;
using testing::FakeTree;
using ::testing::HasSubstr;

class Dialogue : public ::testing::Test {
  protected:
    /// What `line` prints.
    std::string say(const std::string& line) {
        terminal.output.clear();
        outcome = interpreter.execute(line);
        return terminal.output;
    }

    FakeTree tree;
    FakeTerminal terminal;
    Interpreter interpreter{tree, terminal};
    Interpreter::Outcome outcome;
};

TEST_F(Dialogue, ShowPrintsTheThreeSections) {
    EXPECT_EQ(say("show /SP/diag/snapshot"),
              "\n"
              " /SP/diag/snapshot\n"
              "    Targets:\n"
              "\n"
              "    Properties:\n"
              "        dataset = normal\n"
              "        dump_uri = (Cannot show property)\n"
              "        encrypt_output = false\n"
              "        result = Collecting data into sftp://root@10.30.94.12/x.zip\n"
              "                 Snapshot Complete.\n"
              "                 Done.\n"
              "\n"
              "    Commands:\n"
              "        cd\n"
              "        set\n"
              "        show\n"
              "\n");
    EXPECT_EQ(outcome.status, status::done);
}

TEST_F(Dialogue, ShowOfAPropertyIsNarrow) {
    EXPECT_EQ(say("show /SYS product_name"), "\n"
                                             "  /SYS\n"
                                             "    Properties:\n"
                                             "        product_name = SPARC-Enterprise-T5120\n"
                                             "\n");
}

TEST_F(Dialogue, ShowNamesWhatItDoesNotFind) {
    EXPECT_EQ(say("show /SYS colour"), "show: No matching properties found: 'colour'\n");
    EXPECT_EQ(outcome.status, status::not_found);
    EXPECT_EQ(say("show /SYS pwoer_state"),
              "show: No matching properties found: 'pwoer_state'\nDid you mean 'power_state'?\n");
    EXPECT_EQ(outcome.status, status::not_found);
    EXPECT_EQ(say("show /SP/netwrok"), "show: Invalid target /SP/netwrok\n"
                                       "Did you mean /SP/network?\n");
    EXPECT_EQ(outcome.status, status::not_found);
    EXPECT_EQ(say("show /SP/qqqqqq/x"), "show: Invalid target /SP/qqqqqq/x\n"
                                        "The nearest target is /SP.\n");
}

TEST_F(Dialogue, ShowTakesOptionsInAnyOrder) {
    const std::string wanted = say("show -d properties /SYS");
    EXPECT_EQ(wanted, "\n"
                      "  /SYS\n"
                      "    Properties:\n"
                      "        product_name = SPARC-Enterprise-T5120\n"
                      "        power_state = Off\n"
                      "\n");
    EXPECT_EQ(say("show /SYS -display properties"), wanted);
    EXPECT_EQ(say("show -script -format nowrap /sys/ -d properties"), wanted);
    EXPECT_FALSE(terminal.pauses);
    EXPECT_EQ(say("show -a /SYS"), say("show /SYS"));
    EXPECT_EQ(say("show -d targets,properties,commands /SYS"), say("show /SYS"));
}

TEST_F(Dialogue, LevelsPrintOneBlockEach) {
    EXPECT_EQ(say("show -level all -d properties /SYS/MB"), "\n"
                                                            "  /SYS/MB\n"
                                                            "    Properties:\n"
                                                            "        type = Motherboard\n"
                                                            "\n"
                                                            "  /SYS/MB/CPU0\n"
                                                            "    Properties:\n"
                                                            "        type = Host Processor\n"
                                                            "        fault_state = OK\n"
                                                            "\n");
    EXPECT_THAT(say("show -l 2 /SYS"), ::testing::Not(HasSubstr("/SYS/MB/CPU0")));
    EXPECT_THAT(say("show -l 2 /SYS"), HasSubstr(" /SYS/MB\n"));
}

TEST_F(Dialogue, FiltersKeepTargetsThatMatch) {
    const std::string processor = "\n"
                                  "  /SYS/MB/CPU0\n"
                                  "    Properties:\n"
                                  "        fault_state = OK\n"
                                  "\n";
    EXPECT_EQ(say("show -l all /SYS type=='Host Processor' fault_state"), processor);
    EXPECT_EQ(say("show -l all /SYS type==\"host processor\" fault_state"), processor);
    EXPECT_EQ(say("show -l all /SYS 'fault_state' type==(DIMM,Host*)"), processor);
    EXPECT_EQ(say("show -l all /SYS type==DIMM"), "\n");
    EXPECT_THAT(say("show /SYS type=="), HasSubstr("Unexpected filter type"));
    EXPECT_EQ(outcome.status, status::usage);
    EXPECT_THAT(say("show /SYS type==(a"), HasSubstr("Unexpected filter type"));
    EXPECT_THAT(say("show /SYS type=x"), HasSubstr("Unexpected filter type"));
}

TEST_F(Dialogue, TableHasFixedColumns) {
    tree.at("/SP/faultmgmt/0").values = {{"fru", "/SYS"}};
    tree.at("/SP/faultmgmt/0/faults/0").values = {
        {"timestamp", "Sep 20 08:08:07"},
        {"sp_detected_fault", "Input power unavailable for PSU at PS1"}};
    tree.at("/SP/faultmgmt/0/faults");
    tree.at("/SP/faultmgmt");
    const std::string table =
        "Target              | Property               | Value\n"
        "--------------------+------------------------+---------------------------------\n"
        "/SP/faultmgmt/0     | fru                    | /SYS\n"
        "/SP/faultmgmt/0/    | timestamp              | Sep 20 08:08:07\n"
        " faults/0           |                        |\n"
        "/SP/faultmgmt/0/    | sp_detected_fault      | Input power unavailable for PSU\n"
        " faults/0           |                        | at PS1\n";
    EXPECT_EQ(say("show -o table -level all /SP/faultmgmt"), table);
    EXPECT_EQ(say("show /SP/faultmgmt -t"), table);
    EXPECT_EQ(say("show faulty"), table);
    EXPECT_EQ(say("show -t -l 1 /SP/users"),
              "Target              | Property               | Value\n"
              "--------------------+------------------------+---------------------------------\n");
}

TEST_F(Dialogue, LogIsATable) {
    EXPECT_EQ(say("show /SP/logs/event Severity==(critical,down)"),
              "\n"
              "Event\n"
              "ID     Date/Time                 Class     Type      Severity\n"
              "-----  ------------------------  --------  --------  --------\n"
              "41     Fri Oct 31 10:35:09 2025  Fault     Log       critical\n"
              "       Fan gone\n");
}

TEST_F(Dialogue, JsonHasTheSameNames) {
    EXPECT_EQ(say("show -o json /SYS"), "{\n"
                                        "  \"Target\": \"/SYS\",\n"
                                        "  \"Targets\": {\n"
                                        "    \"MB\": null\n"
                                        "  },\n"
                                        "  \"Properties\": {\n"
                                        "    \"product_name\": \"SPARC-Enterprise-T5120\",\n"
                                        "    \"power_state\": \"Off\"\n"
                                        "  },\n"
                                        "  \"Commands\": [\"cd\", \"set\", \"show\"]\n"
                                        "}\n");
    EXPECT_EQ(say("show -o json /SYS power_state"), "{\n"
                                                    "  \"Target\": \"/SYS\",\n"
                                                    "  \"Properties\": {\n"
                                                    "    \"power_state\": \"Off\"\n"
                                                    "  }\n"
                                                    "}\n");
}

TEST_F(Dialogue, LongValuesFoldAtTheScreen) {
    tree.at("/SYS/MB").values = {{"note", "one two three four five six seven eight nine ten"}};
    terminal.columns = 40;
    EXPECT_THAT(say("show -d properties /SYS/MB"),
                HasSubstr("        note = one two three four five\n"
                          "               six seven eight nine ten\n"));
    EXPECT_THAT(say("show -format nowrap -d properties /SYS/MB"),
                HasSubstr("        note = one two three four five six seven eight nine ten\n"));
}

TEST_F(Dialogue, TextIsPrintedAsItIs) {
    EXPECT_EQ(say("show /HOST/console/history"), "\nlogin: \n");
}

TEST_F(Dialogue, ControlBytesOfValuesDoNotReachTheTerminal) {
    tree.at("/SYS/MB").values = {{"type", "a\x1b[2Jb\xc2\x9b"
                                          "c\xff"}};
    EXPECT_THAT(say("show /SYS/MB type"), HasSubstr("type = a\\x1b[2Jb\\xc2\\x9bc\\xff\n"));
}

TEST_F(Dialogue, CdMovesAndPrintsThePath) {
    EXPECT_EQ(say("cd /sp/DIAG/snapshot/"), "/SP/diag/snapshot\n");
    EXPECT_THAT(say("show"), HasSubstr(" /SP/diag/snapshot\n"));
    EXPECT_EQ(say("cd .."), "/SP/diag\n");
    EXPECT_EQ(say("cd ../users/./root"), "/SP/users/root\n");
    EXPECT_EQ(say("cd -default"), "/\n");
    EXPECT_EQ(say("cd SP"), "/SP\n");
    EXPECT_EQ(say("cd nowhere"), "cd: Invalid target /SP/nowhere\nThe nearest target is /SP.\n");
    EXPECT_EQ(interpreter.current_target(), "/SP");
    EXPECT_THAT(say("cd"), HasSubstr("cd: Invalid command syntax\nUsage: cd"));
    EXPECT_EQ(outcome.status, status::usage);
}

TEST_F(Dialogue, SetPrintsEachChange) {
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=full encrypt_output=\"true\""),
              "Set 'dataset' to 'full'\n"
              "Set 'encrypt_output' to 'true'\n");
    EXPECT_THAT(tree.log, ElementsAre("set /SP/diag/snapshot dataset=full",
                                      "set /SP/diag/snapshot encrypt_output=true"));
    say("cd /SP/diag/snapshot");
    EXPECT_EQ(say("set DATASET=normal"), "Set 'dataset' to 'normal'\n");
    EXPECT_EQ(say("set /SP/network/test ping=127.0.0.1"), "Ping of 127.0.0.1 succeeded\n");
}

TEST_F(Dialogue, SetStopsAtTheFirstMistake) {
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=full datset=x encrypt_output=true"),
              "Set 'dataset' to 'full'\n"
              "set: No matching properties found: 'datset'\n"
              "Did you mean 'dataset'?\n");
    EXPECT_EQ(outcome.status, status::not_found);
    EXPECT_EQ(tree.log.size(), 1U);
    tree.fault = Fault{FaultKind::invalid_value, "Invalid value for 'dataset'. It must be full."};
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=x"),
              "set: Invalid value for 'dataset'. It must be full.\n");
    EXPECT_EQ(outcome.status, status::refused);
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=norma"),
              "set: Invalid value for 'dataset'. It must be full.\nDid you mean 'normal'?\n");
    tree.fault = Fault{FaultKind::denied, "It needs the role a."};
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=x"),
              "set: Permission denied\nIt needs the role a.\n");
    EXPECT_EQ(outcome.status, status::refused);
    tree.fault = Fault{FaultKind::internal, "The disk is full."};
    EXPECT_EQ(say("set /SP/diag/snapshot dataset=x"), "set: The disk is full.\n");
    EXPECT_EQ(outcome.status, status::failed);
}

TEST_F(Dialogue, SetAsksForASecretTwice) {
    terminal.answers = {"wonder land", "wonder land"};
    EXPECT_EQ(say("set /SP/users/root password"), "Enter new password: \n"
                                                  "Enter new password again: \n"
                                                  "Set 'password' to '*****'\n");
    EXPECT_TRUE(outcome.secret);
    EXPECT_THAT(tree.log, ElementsAre("set /SP/users/root password=wonder land"));
    terminal.answers = {"one", "two"};
    EXPECT_THAT(say("set /SP/users/root password"),
                HasSubstr("set: The two entries are not the same\n"));
    EXPECT_EQ(outcome.status, status::refused);
    EXPECT_EQ(say("set /SP/users/root password=direct"), "Set 'password' to '*****'\n");
    EXPECT_TRUE(outcome.secret);
    say("cd /SP/users/root");
    terminal.answers = {"x", "x"};
    EXPECT_THAT(say("set password"), HasSubstr("Set 'password' to '*****'\n"));
    EXPECT_EQ(say("set role"), "set: Invalid command syntax: a value is missing: role=<value>\n");
}

TEST_F(Dialogue, WhatCannotBeDoneYetIsWaitedFor) {
    tree.waits = 6;
    terminal.answers = {"y"};
    EXPECT_EQ(say("start /SYS"), "Are you sure you want to start /SYS (y/n)? y\n"
                                 "The image comes.\nWaiting. Ctrl-C stops it.\n"
                                 "Still waiting, 5 s.\n"
                                 "Did start /SYS\n");
    EXPECT_EQ(terminal.rests, 6);

    tree.waits = 6;
    EXPECT_EQ(say("start -script /SYS"), "Did start /SYS\n") << "a script waits in silence";

    tree.waits = 1000;
    EXPECT_THAT(say("start -script /SYS"), HasSubstr("Did start /SYS\n")) << "but not for ever";
    EXPECT_LT(terminal.rests, 80);

    tree.waits = 1000;
    terminal.interrupted_at = terminal.rests + 3;
    EXPECT_EQ(say("start -script /SYS"), "start: Stopped waiting; nothing was started.\n");
    EXPECT_EQ(outcome.status, status::refused);
}

TEST_F(Dialogue, QuestionsGuardWhatHurts) {
    terminal.answers = {"n"};
    EXPECT_EQ(say("start /SYS"),
              "Are you sure you want to start /SYS (y/n)? n\nCommand aborted.\n");
    EXPECT_TRUE(tree.log.empty());
    EXPECT_EQ(outcome.status, status::refused);
    terminal.answers = {"Y"};
    EXPECT_EQ(say("start /SYS"), "Are you sure you want to start /SYS (y/n)? Y\nDid start /SYS\n");
    EXPECT_EQ(say("start -script /sys/"), "Did start /SYS\n");
    terminal.answers = {"yes"};
    EXPECT_EQ(say("stop -f /SYS"),
              "Are you sure you want to immediately stop /SYS (y/n)? yes\nDid stop /SYS\n");
    EXPECT_EQ(say("stop /SYS -force -script"), "Did stop /SYS\n");
    EXPECT_THAT(tree.log,
                ElementsAre("start /SYS", "start /SYS", "stop -force /SYS", "stop -force /SYS"));
    terminal.answers = {};
    EXPECT_EQ(say("reset /SYS"), "Are you sure you want to reset /SYS (y/n)? Command aborted.\n");
    terminal.answers = {"y"};
    EXPECT_EQ(say("set /SP/diag/snapshot dump_uri=x"),
              "Collecting may reset the host. Are you sure (y/n)? y\nSet 'dump_uri' to 'x'\n");
}

TEST_F(Dialogue, VerbsOnWrongTargetsAreRefused) {
    EXPECT_EQ(say("start /SP/users"), "start: Not supported on the target /SP/users\n");
    EXPECT_EQ(outcome.status, status::refused);
    tree.fault = Fault{FaultKind::wrong_state, "Target already started"};
    EXPECT_EQ(say("start -script /SYS"), "start: Target already started\n");
    EXPECT_EQ(outcome.status, status::refused);
    EXPECT_EQ(say("load -source http://x/y /SP"), "load: Not supported on the target /SP\n");
    EXPECT_EQ(say("load /SP"), "load: Option -source is missing\nUsage: load [-script] [-force] "
                               "[-output verbose] -source <URI> [<target>]\n");
}

TEST_F(Dialogue, ConsoleOpens) {
    EXPECT_EQ(say("start -script /SP/console"), "<console of /SP/console>\n");
    EXPECT_EQ(say("start -f -script /SP/console"), "<console of /SP/console by force>\n");
    tree.fault = Fault{FaultKind::busy, "Serial console is in use."};
    EXPECT_EQ(say("start -script /SP/console"), "Serial console is in use.\n");
    EXPECT_EQ(outcome.status, status::refused);
}

TEST_F(Dialogue, CreateAsksForWhatIsRequired) {
    terminal.answers = {"secret12", "secret12"};
    EXPECT_EQ(say("create /SP/users/user5 role=aucr"), "Creating user...\n"
                                                       "Enter new password: \n"
                                                       "Enter new password again: \n"
                                                       "Did create /SP/users/user5\n");
    EXPECT_THAT(tree.log, ElementsAre("create /SP/users/user5 role=aucr password=secret12"));
    say("cd /SP/users");
    EXPECT_EQ(say("create u password=x"), "Creating user...\nDid create /SP/users/u\n");
    EXPECT_TRUE(outcome.secret);
    EXPECT_EQ(say("create /SYS/x"), "create: Nothing can be created in /SYS\n");
    EXPECT_EQ(say("create /nowhere/x"), "create: Invalid target /nowhere\n"
                                        "The nearest target is /.\n");
}

TEST_F(Dialogue, UnknownVerbs) {
    EXPECT_EQ(say("foo"), "Invalid command 'foo' - type help for a list of commands.\n");
    EXPECT_EQ(outcome.status, status::usage);
    EXPECT_EQ(say("sho /SP"), "Invalid command 'sho' - type help for a list of commands.\n"
                              "Did you mean 'show'?\n");
    EXPECT_EQ(say("show -lev 2"), "show: Invalid option -lev\nDid you mean '-level'?\nUsage: " +
                                      std::string(spec_of(Verb::show).usage) + "\n");
    EXPECT_EQ(say("version -o json"),
              "version: Invalid value 'json' of option -output\nUsage: version\n");
    EXPECT_THAT(say("show -x -o tabel"), HasSubstr("\nDid you mean 'table'?\n"));
    EXPECT_THAT(say("start -scirpt /SYS"), HasSubstr("\nDid you mean '-script'?\n"));
    EXPECT_THAT(say("shwo /SP"), HasSubstr("\nDid you mean 'show'?\n")) << "two letters swapped";
    EXPECT_THAT(say("SHOW -LEVEL 1 /sys"), HasSubstr(" /SYS\n"));
    EXPECT_THAT(say("show -level 0"), HasSubstr("show: Invalid value '0' of option -level"));
    EXPECT_THAT(say("show -o xml"), HasSubstr("show: Invalid value 'xml' of option -output"));
    EXPECT_THAT(say("show /SYS | grep power"), HasSubstr("show: No matching properties found"));
    EXPECT_THAT(say("set /SYS \"unclosed"), HasSubstr("set: Invalid command syntax"));
    EXPECT_EQ(say("\x1b[31m"), "Invalid command '\\x1b[31m' - type help for a list of commands.\n");
    EXPECT_EQ(say("   "), "");
}

TEST_F(Dialogue, ExamineChangesNothing) {
    EXPECT_EQ(say("set -x /SP/diag/snapshot dataset=full"), "");
    EXPECT_EQ(outcome.status, status::done);
    EXPECT_EQ(say("stop -examine -f /SYS"), "");
    EXPECT_THAT(say("stop -x /NO"), HasSubstr("stop: Invalid target /NO"));
    EXPECT_TRUE(tree.log.empty());
}

TEST_F(Dialogue, HelpFitsTheScreenOfAPerson) {
    for (int i = 10; i < 60; ++i)
        tree.add("/SYS",
                 testing::FakeTree::described("property" + std::to_string(i),
                                              "What it says goes on for longer than a line of a "
                                              "terminal has columns to show it in.",
                                              {}, "a"),
                 "x");
    const std::string whole = say("help /SYS");
    terminal.columns = 80;
    terminal.rows = 24;
    for (const char* line : {"help", "help targets", "help /SYS", "help /SP", "help show"}) {
        const std::string text = say(line);
        EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 23) << line << "\n" << text;
        for (const std::string& row : folded(text, 0))
            EXPECT_LE(columns(row), 80U) << line;
    }
    EXPECT_THAT(say("help /SYS"), HasSubstr("property10, property11"));
    EXPECT_THAT(say("help"), HasSubstr("Commands are: cd, create, delete,"));
    EXPECT_EQ(say("help -output verbose /SYS"), whole);
    EXPECT_EQ(say("help -script /SYS"), whole);
    terminal.rows = 80;
    EXPECT_THAT(say("help /SYS"), HasSubstr("property10 : What it says goes on for longer than a"));
}

TEST_F(Dialogue, HelpComesFromTheDescriptions) {
    EXPECT_EQ(say("help /SP/diag/snapshot dataset"),
              "\n"
              " /SP/diag/snapshot : Collects data.\n"
              "    Properties:\n"
              "        dataset : How much.\n"
              "        dataset : Possible values = normal, full, fruid\n"
              "        dataset : User role required for set = a\n"
              "            normal : What is asked for most.\n"
              "            full : Everything; may reset the host.\n"
              "            fruid : Part numbers only.\n"
              "\n");
    EXPECT_THAT(say("help /SP/users"),
                HasSubstr("            password (required) : Its password."));
    EXPECT_THAT(say("help /SP"), HasSubstr(" /SP : The service processor.\n    Targets:\n"));
    EXPECT_THAT(say("help"), HasSubstr("Commands are:\ncd\ncreate\ndelete\ndump\nexit\nhelp\nload\n"
                                       "reset\nset\nshow\nstart\nstop\nversion\n"));
    EXPECT_THAT(say("help show"), HasSubstr("-level|-l"));
    EXPECT_EQ(say("show -h"), say("help show"));
    EXPECT_THAT(say("help targets"), HasSubstr("/SP/users : Accounts.\n"));
    EXPECT_THAT(say("help /SP nothing"), HasSubstr("help: Property not found"));
    EXPECT_THAT(say("help nothing"), HasSubstr("help: Invalid target /nothing"));
}

TEST_F(Dialogue, VersionAndExit) {
    EXPECT_EQ(say("version"), "SP firmware 0.1.0\nSP firmware build number: 42\n");
    EXPECT_EQ(say("exit"), "");
    EXPECT_TRUE(outcome.exit);
}

// Lines that people and programs might send, cut and twisted: every one is answered, without
// control bytes, and the session stays at a target that exists.
TEST_F(Dialogue, TenThousandMutatedLines) {
    const std::vector<std::string> seeds = {
        "show -level all -o table /SYS type=='Host Processor' fault_state",
        "set /SP/users/root password=\"a b\" role=aucro",
        "create /SP/users/user5 role=aucr password='x'",
        "start -force -script /SP/console",
        "show -d targets,properties Severity==(down,critical) /SP/logs/event",
        "cd ../../SP/./users//root/",
        "help -output terse set",
        "load -source sftp://u:p@h/x -f /SP",
        "show -o json -l 3"};
    std::mt19937 random(7); // the same lines every time
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    for (int i = 0; i < 10000; ++i) {
        std::string line = seeds[below(seeds.size())];
        for (std::size_t edits = 1 + below(6); edits > 0; --edits) {
            const std::size_t at = below(line.size() + 1);
            switch (below(5)) {
            case 0:
                line.insert(at, 1, static_cast<char>(below(256)));
                break;
            case 1:
                line.insert(at, 1, "\"'=()-/. \\*,"[below(12)]);
                break;
            case 2:
                line.erase(at, below(6));
                break;
            case 3:
                line.insert(at, line.substr(below(line.size() + 1), below(40)));
                break;
            default:
                line += " " + seeds[below(seeds.size())].substr(below(17));
            }
        }
        terminal.answers = {"y", "x"};
        const std::string printed = say(line);
        ASSERT_TRUE(outcome.exit || outcome.status == status::done || !printed.empty()) << line;
        ASSERT_EQ(printed.find('\x1b'), std::string::npos) << line;
        ASSERT_TRUE(tree.describe(interpreter.current_target())) << line;
    }
    EXPECT_THAT(say(std::string(1U << 20U, 'x')), HasSubstr("a line holds at most"));
}

} // namespace
} // namespace lom::shell
