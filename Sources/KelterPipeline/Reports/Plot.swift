/// A line over time, as SVG.
struct Plot {
    struct Line {
        let name: String
        /// The CSS class, which has the colour.
        let style: String
        /// One value for each point in time.
        let values: [Double]
    }

    /// What stands above it.
    let title: String
    /// The points in time, in milliseconds.
    let times: [Int]
    let lines: [Line]
    /// Spans of time with a darker ground, in milliseconds.
    var shaded: [Range<Int>] = []

    private static let (width, height, left, bottom, top) = (760.0, 150.0, 56.0, 22.0, 8.0)

    var svg: String {
        let end = Double(max(times.last ?? 0, 1))
        let most = Self.round(up: lines.flatMap(\.values).max() ?? 0)
        func x(_ time: Double) -> Double { Self.left + time / end * (Self.width - Self.left - 8) }
        func y(_ value: Double) -> Double {
            Self.height - Self.bottom - value / most * (Self.height - Self.bottom - Self.top)
        }
        var text = """
            <figure><figcaption>\(HTMLText.escaped(title))\(legend)</figcaption>
            <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img"><title>\(HTMLText.escaped(title))</title>

            """
        for span in shaded {
            let (from, to) = (x(Double(span.lowerBound)), x(Double(span.upperBound)))
            text += #"<rect class="held" x="\#(Self.short(from))" y="\#(Self.short(Self.top))" "#
            text += #"width="\#(Self.short(max(to - from, 1)))" "#
            text += #"height="\#(Self.short(Self.height - Self.bottom - Self.top))"/>"# + "\n"
        }
        for step in 0...2 {
            let value = most * Double(step) / 2
            let place = Self.short(y(value))
            text += #"<line class="grid" x1="\#(Self.left)" x2="\#(Self.width - 8)" y1="\#(place)" y2="\#(place)"/>"#
            text += #"<text x="\#(Self.left - 6)" y="\#(Self.short(y(value) + 4))" text-anchor="end">"#
            text += HTMLText.number(value) + "</text>\n"
        }
        for step in 0...4 {
            let time = end * Double(step) / 4
            let anchor = step == 0 ? "start" : step == 4 ? "end" : "middle"
            text += #"<text x="\#(Self.short(x(time)))" y="\#(Self.height - 6)" text-anchor="\#(anchor)">"#
            text += HTMLText.duration(milliseconds: Int(time)) + "</text>\n"
        }
        for line in lines where line.values.count > 1 {
            let points = zip(times, line.values).map { "\(Self.short(x(Double($0)))),\(Self.short(y($1)))" }
            text += #"<polyline class="\#(line.style)" points="\#(points.joined(separator: " "))"/>"# + "\n"
        }
        return text + "</svg></figure>\n"
    }

    private var legend: String {
        lines.count < 2
            ? "" : lines.map { #" <span class="\#($0.style)">\#(HTMLText.escaped($0.name))</span>"# }.joined()
    }

    /// The next number of the form 1, 2 or 5 times a power of ten.
    static func round(up value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        var power = 1.0
        while power * 10 <= value { power *= 10 }
        while power > value { power /= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value } ?? power * 10
    }

    private static func short(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
