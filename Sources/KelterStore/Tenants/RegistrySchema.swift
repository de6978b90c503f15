/// The registry of tenants in the schema `public`; its tables are made by the shared migrations.
///
/// Its tables tell which tenants there are and under which domains; they have no `tenant_id`, so that a request's tenant
/// can be looked up before it is known. The keys of the API belong to one tenant each and are protected like documents.
enum RegistrySchema {
    /// "KELTREG1" as a number: the key of the lock that changes of the registry's rows take.
    static let advisoryKey = 0x4B45_4C54_5245_4731
}
