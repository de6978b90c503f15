/// Texts that use what each format has.
enum Samples {
    static let markdown = """
        ---
        title: "Handbuch: Öl & \\"Wein\\""
        lang: de
        tags: [a, b]
        ---
        # Die *Kelter* <!-- nichts -->

        Ein Absatz mit [Link](http://x.de "t"), ![Bild **fett**](b.png) und `code`.
        Weiche Zeile\u{20}\u{20}
        harte Zeile &amp; &Uuml;ber~~strichen~~ <b>fett</b><br>neu <script>alert(1)</script>Ende https://a_b.de/c_d

        Setext
        ------

        - eins
          - zwei
            noch
          1. drei

             zweiter Absatz
        - [x] vier

        > Zitat
        > ## kein Abschnitt
        > - Punkt

        ```swift
        let a = 1 < 2

            eingerückt
        ```

        | A | B |  |
        |---|:-:|---|
        | 1 |  | **x** |
        |  | 2 | 3 |

        <div align="center">
        <h3>HTML-Titel</h3><p>Text &ouml; <script>bad()</script></p>
        </div>

        ### Schluss ###

        <details><summary>Mehr</summary>

        Inhalt

        </details>

        [ref]: http://y.de
        """

    static let markdownOutline = [
        "heading1: Die Kelter",
        "paragraph: Ein Absatz mit Link, Bild fett und code. Weiche Zeile\nharte Zeile & Überstrichen fett\nneu Ende "
            + "https://a_b.de/c_d",
        "heading2: Die Kelter > Setext",
        "listItem1: eins",
        "listItem2: zwei noch",
        "listItem2: drei",
        "listItem2: zweiter Absatz",
        "listItem1: vier",
        "quote: Zitat",
        "quote: kein Abschnitt",
        "listItem1: Punkt",
        "code: let a = 1 < 2\n\n    eingerückt",
        "table: A | B\n1 | | x\n| 2 | 3",
        "heading3: Die Kelter > Setext > HTML-Titel",
        "paragraph: Text ö",
        "heading3: Die Kelter > Setext > Schluss",
        "paragraph: Mehr",
        "paragraph: Inhalt",
    ]

    static let html = """
        <!DOCTYPE html><html lang="de-AT"><head><meta charset="utf-8"><title>Seite &amp; Titel
         zwei</title><style>p{color:red}</style><script>if (a<b) document.write("<p>x</p>")</script></head>
        <body><!-- nichts --><div><ul><li><a href="x">Eins</a><li>Zwei<ul><li>Drei</ul></ul></div>
        <h1>Über<b>schrift</b></h1><p>Absatz&nbsp;1 mit <i>kur</i>siv &#8211; &#150; &hellip;
        Do&shy;nau<br>Zeile 2<p>Unge<wbr>schlossen
        <h2>Unter</h2>
        <table><caption>Tafel</caption><thead><tr><th></th><th>Q1</th><th>Q2</th></tr></thead>
        <tr><td>a<td><p>b</p><p>c</p><td><table><tr><td>n1<td>n2<tr><td>n3</table></table>
        <blockquote><p>Zitat<h3>im Zitat</h3></blockquote>
        <pre>
          eins
            zwei &lt;x&gt;
        <b>drei</b></pre>
        <dl><dt>Begriff<dd>Erklärung</dl>
        a < b && c > d <unknown title="x > y">x</unknown><hr>
        <table><tr><td><h3>Rahmen</h3>Text</td><td>Mehr</td></tr></table>
        <h3><p>Kopf mit p</p></h3>Nach<br><br>her
        <noscript>nein</noscript><template><p>nein</template><textarea>A <b> B</textarea>
        <select><option>O1<option>O2</select>
        </body></html>
        Nachtext<p>Ende
        """

    static let htmlOutline = [
        "listItem1: Eins",
        "listItem1: Zwei",
        "listItem2: Drei",
        "heading1: Überschrift",
        "paragraph: Absatz 1 mit kursiv – – … Donau\nZeile 2",
        "paragraph: Ungeschlossen",
        "heading2: Überschrift > Unter",
        "table: Tafel\n| Q1 | Q2\na | b c\nn1 | n2\nn3",
        "quote: Zitat",
        "quote: im Zitat",
        "code: eins\n    zwei <x>\ndrei",
        "listItem1: Begriff",
        "listItem1: Erklärung",
        "paragraph: a < b && c > d x",
        "heading3: Überschrift > Unter > Rahmen",
        "paragraph: Text",
        "paragraph: Mehr",
        "heading3: Überschrift > Unter > Kopf mit p",
        "paragraph: Nach",
        "paragraph: her A <b> B",
        "paragraph: O1",
        "paragraph: O2",
        "paragraph: Nachtext",
        "paragraph: Ende",
    ]

    static let plainText = "\n  Erster Absatz\nzweite Zeile  \n \t\nÄußerst\u{A0}\n\u{2003}\n\nZuletzt"
}
