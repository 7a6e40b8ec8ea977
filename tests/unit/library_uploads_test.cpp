// What becomes of the files of an SFTP session. A shell script does in the session's folder what a
// client has OpenSSH's server do, and says what that says in its log.
#include "kvms/library/uploads.h"

#include "tests/unit/library_support.h"

#include <sys/stat.h>

namespace lom::kvms::test {
namespace {

class UploadsTest : public LibraryTest {
  protected:
    /// One session from its first to its last word; $1 is its folder.
    std::vector<std::string> session(const std::string& script) {
        const std::string program = home_ + "/server";
        std::ofstream(program) << "#!/bin/sh\ncd \"$1\" || exit 1\n" << script << "\n";
        chmod(program.c_str(), 0700);
        Uploads uploads(loop_, library_, program);
        const auto client = uploads.begin("1", [this](const auto& deed, const auto& done) {
            deeds_.push_back(deed + (done ? "" : ": " + done.fault().message));
        });
        EXPECT_TRUE(client);
        std::optional<std::vector<std::string>> complaints;
        uploads.finish("1", [&](const auto& said) { complaints = said; });
        EXPECT_TRUE(loop_.run_until([&] { return complaints.has_value(); }, limit));
        EXPECT_TRUE(std::filesystem::is_empty(home_ + "/media/.incoming"));
        return complaints.value_or(std::vector<std::string>{});
    }

    std::vector<std::string> deeds_;
};

using Words = std::vector<std::string>;

TEST_F(UploadsTest, takes_in_what_was_closed) {
    EXPECT_EQ(session("echo one > a.iso; echo two > b.iso"), Words{});
    EXPECT_EQ(names(), "a.iso b.iso");
    std::sort(deeds_.begin(), deeds_.end());
    EXPECT_EQ(deeds_, (Words{"put a.iso", "put b.iso"}));
}

TEST_F(UploadsTest, drops_what_the_client_did_not_finish) {
    const auto said = session("echo one > a.iso; echo two > b.iso\n"
                              "echo 'forced close \"/library/b.iso\" bytes read 0 written 4' >&2");
    EXPECT_EQ(names(), "a.iso");
    EXPECT_EQ(said, Words{"put b.iso: The connection ended before the file was complete."});
}

TEST_F(UploadsTest, drops_everything_of_a_server_that_was_killed) {
    session("echo one > a.iso; kill -9 $$");
    EXPECT_EQ(names(), "");
}

TEST_F(UploadsTest, says_which_name_is_taken) {
    ASSERT_TRUE(put("a.iso", "one"));
    const std::string open =
        "echo 'open \"/library/a.iso\" flags WRITE,CREATE,TRUNCATE mode 0644' >&2\n";
    const std::string refused = "echo 'sent status Permission denied' >&2\n";
    EXPECT_EQ(session(open + refused),
              Words{"put a.iso: The image a.iso exists already; delete it first."});
    EXPECT_EQ(session(refused + open), Words{});
    EXPECT_EQ(session(open + "echo 'sent status Failure' >&2\n" + refused), Words{});
}

TEST_F(UploadsTest, removes_and_renames_what_nobody_uses) {
    ASSERT_TRUE(put("a.iso", "one"));
    ASSERT_TRUE(put("b.iso", "two"));
    ASSERT_TRUE(put("c.iso", "three"));
    ASSERT_TRUE(library_.claim("c.iso", "cd", false, {}));
    const auto said = session("rm a.iso; mv b.iso d.iso; rm -f c.iso");
    EXPECT_EQ(names(), "c.iso d.iso");
    ASSERT_EQ(said.size(), 1U);
    EXPECT_NE(said[0].find("in use by cd"), std::string::npos) << said[0];
}

TEST_F(UploadsTest, takes_in_nothing_but_files_with_good_names) {
    session("mkdir folder; ln -s /etc/passwd link.iso; echo x > .hidden; echo x > 'a b.iso'");
    EXPECT_EQ(names(), "");
}

TEST_F(UploadsTest, refuses_what_does_not_fit) {
    library_.set_quota(100);
    session("head -c 101 /dev/zero > a.iso");
    EXPECT_EQ(names(), "");
    session("head -c 60 /dev/zero > a.iso; head -c 60 /dev/zero > b.iso");
    EXPECT_EQ(library_.images().size(), 1U);
}

TEST_F(UploadsTest, survives_any_log) {
    EXPECT_EQ(session("head -c 100000 /dev/urandom >&2; echo >&2\n"
                      "printf 'forced close \"' >&2; echo '\" bytes read ' >&2\n"
                      "echo 'open \" flags WRITE' >&2; echo 'sent status Permission denied' >&2"),
              Words{});
}

} // namespace
} // namespace lom::kvms::test
