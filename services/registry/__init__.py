"""Who exists, who holds which role where, and how to reach them.

Owns: territories, agencies with their mandates, endpoints, declared absences. Nothing about a child.
Publishes: agency.registered, agency.retired, endpoint.registered, endpoint.revoked, body.declared_absent.
Consumes: nothing.
"""
