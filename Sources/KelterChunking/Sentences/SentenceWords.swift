/// The words that tell whether a full stop ends a sentence, German and English, in lower case without their last dot.
enum SentenceWords {
    /// Abbreviations that stand before what they belong to and so never end a sentence.
    static let neverLast = words(
        """
        betr bspw bzgl bzw ca d.h d.i dipl dr drs ebd einschl engl evtl exkl fr frz ges gez ggf \
        ggfs hl hr hrn hrsg hs i.d.r i.e i.s.d i.v.m ing inkl insb kath lat m.e m.w lfd med mtl o.g od phil prof \
        rd sog sr st sta stellv str svw techn u.a u.u v.a verf vgl vorm z.b z.t z.zt zb zit zzgl zzt \
        approx cf e.g eg esp gov incl capt cmdr maj messrs mr mrs mx pres rep rev sen sgt viz vs
        """
    )

    /// Abbreviations that stand before a number; without one the dot ends the sentence as usual.
    static let beforeNumber = words(
        """
        abb abs abschn anm art aufl gem bl buchst kap bd lit max min nr nrn nos no par pos pp rdnr rn rz s tab ziff zf z \
        app ch chap ed eq eqs ex fig figs pt ref sec sect tbl vol vols \
        jan feb mär märz apr jun jul aug sep sept okt oct nov dez dec mo di mi do fr sa so mon tue tues wed thu thur \
        thurs fri sat sun
        """
    )

    /// Abbreviations that may end a sentence: they do if the next word is one that often begins one.
    static let maybeLast = words(
        """
        al b.c a.d chr ms a.m p.m bros co corp dept est etc gmbh inc jh jhd jr ltd mio mrd std tsd usw v.chr n.chr usf u.s.w u.s u.k u.n \
        e.u o.ä o.dgl dgl
        """
    )

    /// Words that, with a capital, begin a sentence more often than they are names or nouns.
    static let starters = words(
        """
        der die das den dem des ein eine einen einem einer eines er sie es wir ihr ich man dies diese dieser dieses diesen \
        jede jeder jedes alle viele einige manche mehrere beide kein keine sein seine seiner ihre ihren ihrer unser unsere \
        in im am an auf aus bei beim bis durch für gegen hinter mit nach nachdem neben ohne seit über um unter von vom vor \
        während wegen zu zum zur zwischen und oder aber denn doch sondern wenn weil dass da damit daher dann danach \
        daraufhin darum davor dazu deshalb deswegen dort hier heute gestern morgen jetzt nun so somit sonst später \
        trotzdem außerdem allerdings anschließend auch bereits dabei dadurch erst ferner jedoch nur obwohl schließlich \
        sobald sofern sollte sollten wer was wo wie warum wann weitere wird werden wurde wurden ist sind war waren hat \
        haben kann können muss müssen soll insgesamt zudem zunächst zuletzt zuerst \
        the a this that these those he she it we you they i his her its our their there here in on at by for from of to \
        with without and but or nor so yet if when while where why how what who which because since although though after \
        before during until unless however therefore thus hence moreover furthermore meanwhile then now today later \
        finally first next also another each every all many most some several such both no not only one once as is are \
        was were has have had do does did can could will would should might must let please
        """
    )

    private static func words(_ list: String) -> Set<[UInt8]> {
        Set(list.utf8.split { $0 == 0x20 || $0 == 0x0A }.map(Array.init))
    }
}
