#include "kvms/console/log_file.h"
#include "tests/unit/console_support.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

namespace lom::kvms::test {
namespace {

constexpr std::uint64_t mib = 1U << 20U;

std::uint64_t blocks_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512U;
}

std::string read(const LogFile& log, std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    bytes.resize(log.read(offset, bytes));
    return bytes;
}

TEST(ConsoleLog, gives_old_blocks_back_and_keeps_offsets) {
    const TempDir dir;
    auto log = LogFile::open(dir / "log");
    ASSERT_TRUE(log) << log.fault().message;
    const std::string text = pattern(10 * mib + 12345);
    ASSERT_TRUE(log->append(text));
    ASSERT_TRUE(log->trim(3 * mib));
    EXPECT_EQ(log->end(), text.size());
    EXPECT_EQ(log->start(), 7 * mib);
    EXPECT_EQ(read(*log, log->start(), text.size()), text.substr(7 * mib));
    EXPECT_LT(blocks_of(dir / "log"), 4 * mib);
}

TEST(ConsoleLog, trims_in_whole_steps_only) {
    const TempDir dir;
    auto log = LogFile::open(dir / "log");
    ASSERT_TRUE(log);
    ASSERT_TRUE(log->append(pattern(2 * mib - 1)));
    ASSERT_TRUE(log->trim(mib));
    EXPECT_EQ(log->start(), 0U);
    ASSERT_TRUE(log->append("x"));
    ASSERT_TRUE(log->trim(mib));
    EXPECT_EQ(log->start(), mib);
}

TEST(ConsoleLog, finds_its_start_again_after_a_restart) {
    const TempDir dir;
    {
        auto log = LogFile::open(dir / "log");
        ASSERT_TRUE(log);
        EXPECT_EQ(log->start(), 0U);
        ASSERT_TRUE(log->append(pattern(5 * mib)));
        ASSERT_TRUE(log->trim(2 * mib));
        EXPECT_EQ(log->reserve(), LogFile::Space::reserved);
    }
    auto log = LogFile::open(dir / "log");
    ASSERT_TRUE(log);
    EXPECT_EQ(log->start(), 3 * mib);
    EXPECT_EQ(log->end(), 5 * mib);
    ASSERT_TRUE(log->append("more"));
    EXPECT_EQ(read(*log, 5 * mib, 10), "more");
}

TEST(ConsoleLog, zeros_that_the_guest_printed_are_not_taken_for_a_hole) {
    const TempDir dir;
    {
        auto log = LogFile::open(dir / "log");
        ASSERT_TRUE(log);
        ASSERT_TRUE(log->append(std::string(mib, '\0')));
    }
    auto log = LogFile::open(dir / "log");
    ASSERT_TRUE(log);
    EXPECT_EQ(log->start(), 0U);
}

TEST(ConsoleLog, reserves_room_without_changing_its_length) {
    const TempDir dir;
    auto log = LogFile::open(dir / "log");
    ASSERT_TRUE(log);
    ASSERT_TRUE(log->append("hello"));
    ASSERT_EQ(log->reserve(), LogFile::Space::reserved);
    EXPECT_EQ(log->end(), 5U);
    EXPECT_GE(blocks_of(dir / "log"), mib);
}

TEST(ConsoleLog, refuses_a_link_and_a_folder_with_a_sentence) {
    const TempDir dir;
    std::filesystem::create_symlink("/dev/null", dir / "link");
    std::filesystem::create_directory(dir / "folder");
    EXPECT_FALSE(LogFile::open(dir / "link"));
    EXPECT_FALSE(LogFile::open(dir / "folder"));
    ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
    const auto fifo = LogFile::open(dir / "fifo");
    ASSERT_FALSE(fifo);
    EXPECT_NE(fifo.fault().message.find("not a plain file"), std::string::npos);
}

/// A file system of its own that a test can fill.
class SmallDisk {
  public:
    explicit SmallDisk(std::string path) : path_(std::move(path)) {
        std::filesystem::create_directory(path_);
        mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=6m") == 0;
    }
    ~SmallDisk() {
        if (mounted_)
            umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    bool mounted() const { return mounted_; }
    /// Takes every block that is left.
    void fill() const {
        const UniqueFd fd(open((path_ + "/ballast").c_str(), O_WRONLY | O_CREAT, 0600));
        const std::string block(4096, 'b');
        while (write(fd.get(), block.data(), block.size()) > 0) {
        }
    }
    void release() const { std::filesystem::remove(path_ + "/ballast"); }

  private:
    std::string path_;
    bool mounted_ = false;
};

class FullDisk : public ConsoleTest {
  protected:
    void SetUp() override {
        if (!disk.mounted())
            GTEST_SKIP() << "needs the right to mount a small tmpfs";
        log = dir / "disk/console.log";
        reopen();
    }
    SmallDisk disk{dir / "disk"};
};

TEST_F(FullDisk, what_was_reserved_is_still_recorded_and_the_trouble_is_told_once) {
    const Guest guest(log);
    Client reader = attach();
    disk.fill();
    const std::string text = pattern(mib * 7 / 4); // of two MiB that are reserved
    for (std::size_t at = 0; at < text.size(); at += 65536) {
        guest.print(text.substr(at, 65536));
        ASSERT_TRUE(wait_for(reader, text.substr(0, at + 65536)));
    }
    ASSERT_EQ(troubles.size(), 1U);
    EXPECT_NE(troubles[0].find("The disk is full"), std::string::npos);
    disk.release();
    ASSERT_TRUE(wait([&] { return troubles.size() == 2; }));
    EXPECT_NE(troubles[1].find("has room again"), std::string::npos);
    EXPECT_EQ(troubles[1].find("may be missing"), std::string::npos);
}

TEST_F(FullDisk, bytes_that_may_have_been_lost_are_owned_up_to) {
    const Guest guest(log);
    disk.fill();
    guest.print(pattern(2 * mib)); // all that was reserved
    ASSERT_TRUE(wait([&] { return !troubles.empty(); }));
    EXPECT_NE(troubles[0].find("room for 0 more bytes"), std::string::npos);
    console->print("lost");
    EXPECT_EQ(troubles.size(), 1U);
    disk.release();
    ASSERT_TRUE(wait([&] { return troubles.size() == 2; }));
    EXPECT_NE(troubles[1].find("may be missing"), std::string::npos);
}

} // namespace
} // namespace lom::kvms::test
