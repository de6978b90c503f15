package import KelterModel
package import KelterStore

/// A question to the documents of a tenant; SPEC section 8.
package struct Question: Sendable {
    package var text: String
    package var tenant: Tenant
    /// Collections by list, body or header.
    package var scope: ScopeInputs
    /// What else the documents must be; the collections come from ``scope``.
    ///
    /// A case and collections together are a union. The case of the request itself filters nothing.
    package var filters: SearchFilters
    /// Which documents the caller asks for by their deletion mark; default the active ones.
    package var visibility: SearchVisibility
    /// Whether the caller may see deleted documents: a superuser of the tenant.
    ///
    /// Default no.
    package var maySeeDeleted: Bool
    /// The embedding profile whose vector space is asked; `nil` leaves it to the routing rules.
    package var profile: String?
    /// How to search, as far as the caller says.
    package var hybrid: HybridOptions

    package init(
        text: String,
        tenant: Tenant,
        scope: ScopeInputs,
        filters: SearchFilters = SearchFilters(),
        visibility: SearchVisibility = .active,
        maySeeDeleted: Bool = false,
        profile: String? = nil,
        hybrid: HybridOptions = HybridOptions()
    ) {
        self.text = text
        self.tenant = tenant
        self.scope = scope
        self.filters = filters
        self.visibility = visibility
        self.maySeeDeleted = maySeeDeleted
        self.profile = profile
        self.hybrid = hybrid
    }

    /// What the caller gets to see: without the right to more, silently the active documents.
    package var effectiveVisibility: SearchVisibility { maySeeDeleted ? visibility : .active }
}
