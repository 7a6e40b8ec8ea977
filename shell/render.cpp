#include "shell/render.h"

#include "shell/text.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace lom::shell {

namespace {

constexpr std::string_view heading_indent = "    ";
constexpr std::string_view entry_indent = "        ";

void add_property(std::string& out, const control::PropertyView& property, std::size_t width) {
    const std::string start = std::string(entry_indent) + property.name + " = ";
    const std::size_t indent = columns(start);
    const std::size_t room = width > indent + 20 ? width - indent : 0;
    std::string_view lead = start;
    const std::string blank(indent, ' ');
    for (const std::string& line : folded(printable(property.text), room)) {
        out += lead;
        out += line;
        out += '\n';
        lead = blank;
    }
}

void add_block(std::string& out, const control::TargetView& view, const Sections& sections,
               std::size_t width) {
    out += sections.narrowed ? "  " : " ";
    out += view.path + "\n";
    if (sections.targets) {
        out += std::string(heading_indent) + "Targets:\n";
        for (const control::TargetView& child : view.targets)
            out += std::string(entry_indent) + child.name +
                   (child.note.empty() ? "" : " (" + child.note + ")") + "\n";
        out += "\n";
    }
    if (sections.properties) {
        out += std::string(heading_indent) + "Properties:\n";
        for (const control::PropertyView& property : view.properties)
            add_property(out, property, width);
        out += "\n";
    }
    if (sections.commands) {
        out += std::string(heading_indent) + "Commands:\n";
        for (const std::string& command : view.commands)
            out += std::string(entry_indent) + command + "\n";
        out += "\n";
    }
}

void add_text(std::string& out, const std::string& text) {
    out += text;
    if (!text.empty() && text.back() != '\n')
        out += '\n';
}

void add_blocks(std::string& out, const control::TargetView& view, const Sections& sections,
                std::size_t width) {
    if (view.text)
        add_text(out, *view.text);
    else if (view.table)
        out += render_log(*view.table);
    else
        add_block(out, view, sections, width);
    for (const control::TargetView& child : view.targets)
        if (child.expanded)
            add_blocks(out, child, sections, width);
}

// -- the property table: 20 + 24 + 33 columns between bars

constexpr std::size_t target_width = 19;
constexpr std::size_t property_width = 23;
constexpr std::size_t value_width = 32;

// Long paths are split behind a slash; what follows begins with one space.
std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> lines;
    std::string lead;
    while (lead.size() + path.size() > target_width) {
        std::size_t slash = path.rfind('/', target_width - lead.size() - 1);
        if (slash == std::string_view::npos || slash == 0)
            slash = path.find('/', 1);
        if (slash == std::string_view::npos || slash + 1 == path.size())
            break;
        lines.push_back(lead + std::string(path.substr(0, slash + 1)));
        path.remove_prefix(slash + 1);
        lead = " ";
    }
    lines.push_back(lead + std::string(path));
    return lines;
}

std::string table_line(std::string_view target, std::string_view property, std::string_view value) {
    std::string line = padded(target, target_width + 1) + "| " + padded(property, property_width) +
                       "| " + std::string(value);
    return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

void add_table_rows(std::string& out, const control::TargetView& view) {
    for (const control::PropertyView& property : view.properties) {
        const auto targets = split_path(view.path);
        const auto values = folded(printable(property.text), value_width);
        for (std::size_t i = 0; i < std::max(targets.size(), values.size()); ++i)
            out += table_line(i < targets.size() ? targets[i] : "", i == 0 ? property.name : "",
                              i < values.size() ? values[i] : "");
    }
    for (const control::TargetView& child : view.targets)
        if (child.expanded)
            add_table_rows(out, child);
}

// -- JSON

class JsonObject {
  public:
    JsonObject(std::string& out, std::size_t indent) : out_(out), indent_(indent) { out_ += '{'; }
    /// Begins a member; the caller appends its value.
    void member(std::string_view name) {
        out_ += empty_ ? "\n" : ",\n";
        empty_ = false;
        out_.append(indent_ + 2, ' ');
        out_ += json_string(name) + ": ";
    }
    void end() {
        if (!empty_)
            out_.append("\n").append(indent_, ' ');
        out_ += '}';
    }

  private:
    std::string& out_;
    std::size_t indent_;
    bool empty_ = true;
};

std::string json_list(const std::vector<std::string>& words) {
    std::string out = "[";
    for (const std::string& word : words)
        out += (out.size() > 1 ? ", " : "") + json_string(word);
    return out + "]";
}

void add_json_rows(std::string& out, const control::Table& table, std::size_t indent) {
    out += '[';
    for (const auto& row : table.rows) {
        out += &row == table.rows.data() ? "\n" : ",\n";
        out.append(indent + 2, ' ');
        out += '{';
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string name = i < table.columns.size() ? table.columns[i] : "";
            out += (i > 0 ? ", " : "") + json_string(name) + ": " + json_string(row[i]);
        }
        out += '}';
    }
    if (!table.rows.empty())
        out.append("\n").append(indent, ' ');
    out += ']';
}

void add_json(std::string& out, const control::TargetView& view, const Sections& sections,
              std::size_t indent) {
    JsonObject object(out, indent);
    object.member("Target");
    out += json_string(view.path);
    if (view.text) {
        object.member("Text");
        out += json_string(*view.text);
    }
    if (view.table) {
        object.member("Title");
        out += json_string(view.table->title);
        object.member("Rows");
        add_json_rows(out, *view.table, indent + 2);
    }
    const bool any_expanded = std::any_of(view.targets.begin(), view.targets.end(),
                                          [](const auto& child) { return child.expanded; });
    if (sections.targets || any_expanded) {
        object.member("Targets");
        JsonObject targets(out, indent + 2);
        for (const control::TargetView& child : view.targets) {
            targets.member(child.name);
            if (child.expanded)
                add_json(out, child, sections, indent + 4);
            else
                out += "null";
        }
        targets.end();
    }
    if (sections.properties) {
        object.member("Properties");
        JsonObject properties(out, indent + 2);
        for (const control::PropertyView& property : view.properties) {
            properties.member(property.name);
            out += property.json.empty() ? "null" : property.json;
        }
        properties.end();
    }
    if (sections.commands) {
        object.member("Commands");
        out += json_list(view.commands);
    }
    object.end();
}

// At least what the table says, more where a cell needs it.
std::vector<std::size_t> widths_of(const control::Table& table) {
    std::vector<std::size_t> widths = table.widths;
    widths.resize(table.columns.size());
    for (std::size_t i = 0; i < widths.size(); ++i)
        for (const auto& row : table.rows)
            if (widths[i] > 0 && i < row.size())
                widths[i] = std::max(widths[i], columns(row[i]));
    return widths;
}

} // namespace

std::string render_blocks(const control::TargetView& view, const Sections& sections,
                          std::size_t width) {
    std::string out;
    add_blocks(out, view, sections, width);
    return out;
}

std::string render_property_table(const control::TargetView& view) {
    std::string out = table_line("Target", "Property", "Value");
    out += std::string(target_width + 1, '-') + "+" + std::string(property_width + 1, '-') + "+" +
           std::string(value_width + 1, '-') + "\n";
    add_table_rows(out, view);
    return out;
}

std::string render_json(const control::TargetView& view, const Sections& sections) {
    std::string out;
    add_json(out, view, sections, 0);
    return out + "\n";
}

std::string render_log(const control::Table& table) {
    const std::vector<std::size_t> widths = widths_of(table);
    const auto line_of = [&widths](const std::vector<std::string>& cells) {
        std::string line;
        for (std::size_t i = 0; i < std::min(cells.size(), widths.size()); ++i)
            if (widths[i] > 0)
                line += padded(printable(cells[i]), widths[i]) + "  ";
        return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    };
    std::string out = table.title.empty() ? "" : table.title + "\n";
    out += line_of(table.columns);
    std::vector<std::string> rules;
    for (const std::size_t width : widths)
        rules.emplace_back(width, '-');
    out += line_of(rules);
    const std::string indent((widths.empty() ? 0 : widths.front()) + 2, ' ');
    for (const auto& row : table.rows) {
        out += line_of(row);
        for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i)
            if (widths[i] == 0)
                for (const std::string& line : folded(printable(row[i]), 0))
                    out += indent + line + "\n";
    }
    return out;
}

} // namespace lom::shell
